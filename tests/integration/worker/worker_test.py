"""A worker's program as an operator sees it: its start without a database, its probes, what it
does with deliveries, a crash at each side of the effect, and its end."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "lib"))
from todo_server import Postgres, exchange, wait_for  # noqa: E402
from workers import PATHS, Worker, bulk, event  # noqa: E402

RECORDER = os.environ["TODO_RECORDER"]
CRASHED = 70


def run(*arguments, **env):
    return subprocess.run([RECORDER, *arguments], env={**os.environ, **env}, text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


class SettingsTest(unittest.TestCase):
    def test_help_lists_its_own_settings_and_those_of_all_programs(self):
        said = run("--help")
        self.assertEqual(said.returncode, 0)
        for name in ("RECORDER_FAULT", "HTTP_PORT", "8090", "DATABASE_URL", "KAFKA_BROKERS",
                     "DRAIN_MS"):
            self.assertIn(name, said.stdout)
        self.assertRegex(run("--version").stdout, r"^todo-recorder \d")

    def test_settings_that_will_not_do_stop_the_start(self):
        for arguments, env, word in (
                (("--http-prot", "1"), {}, "--http-prot"),
                (("now",), {}, "now"),
                ((), {"HTTP_PORT": "70000"}, "HTTP_PORT"),
                ((), {"KAFKA_BROKERS": "k:1", "KAFKA_SASL_MECHANISM": "PLAIN"},
                 "KAFKA_SASL_USERNAME"),
                ((), {"KAFKA_BROKERS": "no broker"}, "KAFKA_BROKERS")):
            said = run(*arguments, **env)
            self.assertEqual(said.returncode, 2, said.stderr)
            self.assertIn(word, said.stderr)
            self.assertIn("--help", said.stderr)

    def test_an_address_that_is_taken_ends_it(self):
        postgres = Postgres(fsync=False)
        self.addCleanup(postgres.close)
        worker = Worker(postgres.url)
        self.addCleanup(worker.stop)
        said = run(DATABASE_URL=postgres.url, HTTP_PORT=str(worker.port))
        self.assertEqual(said.returncode, 1, said.stderr)
        self.assertIn("todo-recorder: ", said.stderr)


class WorkerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)

    def setUp(self):
        self.log = tempfile.NamedTemporaryFile(suffix=".jsonl")
        self.addCleanup(self.log.close)

    def worker(self, **env):
        worker = Worker(self.postgres.url, {"RECORDER_LOG": self.log.name, **env})
        wait_for(worker.is_ready, 60, "readiness")
        return worker

    def deliveries(self):
        with open(self.log.name, encoding="utf-8") as log:
            return [json.loads(line)["event_id"] for line in log]

    def recorded(self, event_id):
        return int(self.postgres.value(
            f"select count(*) from recorder.recorded where event_id = '{event_id}'"))

    def dead_letters(self, event_id):
        return self.postgres.query("select reason, attempts from todo.dead_letters where event_id"
                                   f" = '{event_id}'")

    def test_it_serves_its_probes_while_the_database_is_away(self):
        self.postgres.stop()
        worker = Worker(self.postgres.url)
        self.assertEqual(worker.get("/healthz")[0], 200)
        self.assertEqual(worker.get("/readyz")[0], 503)
        self.assertIn("no database", worker.get("/readyz")[1])
        self.assertEqual(worker.get("/metrics")[0], 200)
        status, headers, _ = worker.exchange("POST", "/events/task-events",
                                             json.dumps(event()),
                                             {"Content-Type": "application/cloudevents+json"})
        self.assertEqual((status, headers["Retry-After"]), (503, "1"))
        self.postgres.start()
        wait_for(worker.is_ready, 30, "readiness")
        self.assertEqual(worker.post(event()), 200)
        worker.stop()

    def test_it_ends_while_the_database_is_away(self):
        self.postgres.stop()
        try:
            Worker(self.postgres.url).stop()
        finally:
            self.postgres.start()

    def test_each_type_is_taken_at_its_path(self):
        worker = self.worker()
        for kind, topic in (("TaskCreatedEvent", "task-events"),
                            ("TaskUpdatedEvent", "task-events"),
                            ("TaskDeletedEvent", "task-events"),
                            ("TaskCompletedEvent", "task-recurrence"),
                            ("ReminderSentEvent", "task-reminders")):
            e = event(kind)
            self.assertEqual(worker.post(e, PATHS[topic]), 200)
            self.assertEqual(self.postgres.query("select topic, type, key from recorder.recorded"
                                                 f" where event_id = '{e['id']}'"),
                             [[topic, kind, "7"]])
        worker.stop()

    def test_a_repeat_is_acknowledged_and_changes_nothing(self):
        worker = self.worker()
        e = event()
        self.assertEqual([worker.post(e) for _ in range(3)], [200] * 3)
        self.assertEqual(self.recorded(e["id"]), 1)
        self.assertEqual(self.deliveries(), [e["id"]] * 3)
        line = 'todo_events_consumed_total{type="TaskDeletedEvent",outcome="%s"}'
        self.assertEqual(worker.metric(line % "repeated"), 2)
        self.assertEqual(worker.metric(line % "done"), 1)
        worker.stop()

    def crash_and_repeat(self, fault, effects):
        e = event()
        worker = self.worker(RECORDER_FAULT=fault)
        with self.assertRaises(OSError):
            worker.post(e)
        self.assertEqual(worker.process.wait(30), CRASHED)
        worker.kill()
        self.assertEqual(self.recorded(e["id"]), effects)
        worker = self.worker()
        self.assertEqual(worker.post(e), 200)
        self.assertEqual(self.recorded(e["id"]), 1)
        self.assertEqual(self.deliveries(), [e["id"]] * 2)
        worker.stop()

    def test_a_crash_before_the_effect_loses_nothing(self):
        self.crash_and_repeat("crash-before", 0)

    def test_a_crash_between_effect_and_answer_repeats_nothing(self):
        self.crash_and_repeat("crash-after", 1)

    def test_an_event_that_fails_becomes_a_dead_letter(self):
        worker = self.worker(RECORDER_FAULT="fail")
        e = event()
        self.assertEqual(worker.post(e), 200)
        self.assertEqual(self.dead_letters(e["id"]), [["RECORDER_FAULT", "4"]])
        self.assertEqual(len(self.deliveries()), 4)
        worker.stop()

    def test_an_event_that_fails_once_is_done(self):
        worker = self.worker(RECORDER_FAULT="fail", RECORDER_EVERY="2")
        first, second = event(), event()
        self.assertEqual([worker.post(first), worker.post(second)], [200, 200])
        self.assertEqual([self.recorded(first["id"]), self.recorded(second["id"])], [1, 1])
        self.assertEqual(self.dead_letters(second["id"]), [])
        worker.stop()

    def test_what_is_unavailable_is_asked_for_again(self):
        worker = self.worker(RECORDER_FAULT="unavailable")
        e = event()
        self.assertEqual(worker.post(e), 503)
        self.assertEqual(self.dead_letters(e["id"]), [])
        worker.stop()

    def test_a_database_that_goes_gives_the_events_back(self):
        worker = self.worker(STATEMENT_TIMEOUT_MS="500")
        self.postgres.kill()
        e = event()
        self.assertEqual(worker.post(e), 503)
        self.assertEqual(worker.get("/healthz")[0], 200)
        self.assertEqual(worker.get("/readyz")[0], 503)
        self.postgres.start()
        wait_for(worker.is_ready, 30, "readiness")
        self.assertEqual(worker.post(e), 200)
        self.assertEqual(self.recorded(e["id"]), 1)
        self.assertEqual(self.dead_letters(e["id"]), [])
        worker.stop()

    def test_the_end_waits_for_what_is_in_hand(self):
        worker = self.worker(RECORDER_FAULT="stall", RECORDER_STALL_MS="700")
        e = event()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(worker.post(e)))
        thread.start()
        wait_for(self.deliveries, 30, "the delivery")
        self.assertEqual(worker.metric("todo_events_in_flight"), 1)
        worker.process.send_signal(signal.SIGTERM)
        thread.join(30)
        self.assertEqual(answers, [200])
        worker.stop()
        self.assertEqual(self.recorded(e["id"]), 1)

    def test_the_end_gives_back_what_waits_for_another_try(self):
        worker = self.worker(RECORDER_FAULT="fail")
        e = event()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(worker.post(e)))
        thread.start()
        wait_for(lambda: len(self.deliveries()) >= 3, 30, "the third try")
        worker.process.send_signal(signal.SIGTERM)
        thread.join(30)
        worker.stop()
        # 200 where the signal came after the last try, as on a machine that is busy.
        self.assertIn(answers, ([503], [200]))
        self.assertEqual(len(self.dead_letters(e["id"])), answers.count(200))

    def test_a_schema_that_needs_a_newer_program_ends_it(self):
        self.worker().stop()
        self.postgres.query("insert into todo.schema_migrations (version, name, checksum) values"
                            " (9000, '9000_contract_9000_x.sql', 'x')")
        try:
            said = run(DATABASE_URL=self.postgres.url, HTTP_PORT="0")
        finally:
            self.postgres.query("delete from todo.schema_migrations where version = 9000")
        self.assertEqual(said.returncode, 1, said.stderr)
        self.assertIn("newer", said.stderr)

    def test_daprd_learns_what_it_listens_to_before_the_database_is_there(self):
        self.postgres.stop()
        worker = Worker(self.postgres.url, {"USE_DAPR": "true", "DAPR_HTTP_PORT": "1"})
        try:
            status, body = worker.get("/dapr/subscribe")
            self.assertEqual(status, 200)
            self.assertEqual({s["topic"]: s["route"] for s in json.loads(body)}, PATHS)
            for subscription in json.loads(body):
                self.assertEqual(subscription["pubsubname"], "pubsub-kafka")
                self.assertEqual(subscription["bulkSubscribe"]["maxMessagesCount"], 10)
            self.assertEqual(worker.post(event()), 503)
        finally:
            self.postgres.start()
            worker.stop()

    def test_daprd_delivers_in_bulk(self):
        worker = Worker(self.postgres.url, {"USE_DAPR": "true", "DAPR_HTTP_PORT": "1"})
        events = [event() for _ in range(10)]
        wait_for(lambda: "no sidecar" in worker.get("/readyz")[1], 30, "the database")
        status, _, body = worker.exchange("POST", "/events/task-events", json.dumps(bulk(events)),
                                          {"Content-Type": "application/json"})
        self.assertEqual(status, 200)
        self.assertEqual([s["status"] for s in json.loads(body)["statuses"]], ["SUCCESS"] * 10)
        self.assertEqual(sum(self.recorded(e["id"]) for e in events), 10)
        worker.stop()

    def test_another_machine_needs_the_token(self):
        worker = self.worker(APP_API_TOKEN="secret")
        e = event()
        self.assertEqual(worker.post(e), 401)
        self.assertEqual(worker.post(e, headers={"dapr-api-token": "Secret"}), 401)
        self.assertEqual(worker.post(e, headers={"dapr-api-token": "secret"}), 200)
        self.assertEqual(worker.get("/healthz")[0], 200)
        worker.stop()

    def test_this_machine_needs_none_at_a_socket_of_ipv6_either(self):
        worker = self.worker(HTTP_HOST="::")
        self.assertEqual(worker.post(event()), 200)  # from ::ffff:127.0.0.1
        worker.stop()

    def test_a_page_of_another_name_reads_no_metrics(self):
        worker = self.worker()
        for host, status in (("evil.example", 403), ("127.0.0.1.evil.example", 403),
                             ("localhost", 200), ("10.0.0.7:8000", 200)):
            self.assertEqual(worker.exchange("GET", "/metrics", headers={"Host": host})[0], status)
        worker.stop()

    def test_the_text_of_its_metrics_has_its_type(self):
        worker = self.worker()
        _, headers, body = worker.exchange("GET", "/metrics")
        self.assertIn("version=0.0.4", headers["Content-Type"])
        self.assertTrue(body.endswith("\n"))
        for name in ("process_resident_memory_bytes", "todo_db_connections",
                     "todo_events_in_flight"):
            self.assertIn(f"\n{name} ", body)
        self.assertEqual(exchange(worker.port, b"GET / HTTP/1.1\r\nHost: x\r\n"
                                  b"Connection: close\r\n\r\n")[:12], b"HTTP/1.1 404")
        line = 'http_requests_total{method="GET",route="%s",code="%d"}'
        self.assertEqual(worker.metric(line % ("other", 404)), 1)
        self.assertGreaterEqual(worker.metric(line % ("/metrics", 200)), 2)
        worker.stop()


if __name__ == "__main__":
    unittest.main()
