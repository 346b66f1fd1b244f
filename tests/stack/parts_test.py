"""Each part of the stack does what the tests of the product lean on: it starts, carries something
real, keeps its ports and data over a kill, and ends with the test."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import (SCRAM_PASSWORD, SCRAM_USER, App, Authority, Daprd, Kafka, Placement,  # noqa: E402
                   Redis, Scheduler, Sentry, kafka_python, pubsub_kafka, pubsub_redis,
                   state_postgres)
from todo_server import Postgres, is_alive, wait_for  # noqa: E402


def ask(method, url, value=None, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["dapr-api-token"] = token
    request = urllib.request.Request(url, method=method, headers=headers,
                                     data=None if value is None else json.dumps(value).encode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
        return json.loads(text) if text else None


class Sidecar(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="todo-stack-")
        self.addCleanup(self.folder.cleanup)

    def start(self, process):
        self.addCleanup(process.close if hasattr(process, "close") else process.stop)
        return process.start()

    def publish_and_receive(self, broker, component):
        component(self.folder.name)
        app = self.start(App({"task-events": "/events/task"}))
        daprd = self.start(Daprd("backend", self.folder.name, app_port=app.port))
        publish = f"{daprd.url}/v1.0/publish/pubsub-kafka/task-events"
        ask("POST", publish, {"n": 1})
        wait_for(lambda: app.deliveries, 30, "the first delivery")
        broker.kill()
        broker.start()
        wait_for(lambda: self.is_published(publish, {"n": 2}), 60, "a publish after the restart")
        wait_for(lambda: len(app.deliveries) >= 2, 60, "the second delivery")
        self.assertEqual({d.json()["data"]["n"] for d in app.deliveries}, {1, 2})

    @staticmethod
    def is_published(url, value):
        try:
            ask("POST", url, value)
            return True
        except OSError:
            return False

    def test_an_event_goes_through_kafka_also_after_a_kill(self):
        kafka = self.start(Kafka())
        self.publish_and_receive(kafka, lambda folder: pubsub_kafka(folder, kafka.brokers))

    def test_an_event_goes_through_redis_also_after_a_kill(self):
        redis = self.start(Redis())
        self.publish_and_receive(redis, lambda folder: pubsub_redis(folder, redis.address))

    def given_back_first(self):
        """An application that takes each event at its third delivery."""
        app = App({"task-events": "/events/task"})
        app.answer = lambda delivery: (200, {
            "status": "SUCCESS" if len(app.deliveries) >= 2 else "RETRY"})
        return self.start(app)

    def test_an_event_that_is_given_back_comes_again(self):
        kafka, redis = self.start(Kafka()), self.start(Redis())
        for component in (lambda: pubsub_kafka(self.folder.name, kafka.brokers),
                          lambda: pubsub_redis(self.folder.name, redis.address)):
            component()
            app = self.given_back_first()
            daprd = self.start(Daprd("backend", self.folder.name, app_port=app.port))
            ask("POST", f"{daprd.url}/v1.0/publish/pubsub-kafka/task-events", {"n": 1})
            wait_for(lambda: len(app.deliveries) >= 3, 30, "the third delivery")
            self.assertEqual(len({d.json()["id"] for d in app.deliveries}), 1)
            daprd.stop()

    def test_state_is_kept_in_postgresql_in_the_tables_that_the_contract_names(self):
        postgres = Postgres(fsync=False)
        self.addCleanup(postgres.close)
        state_postgres(self.folder.name, postgres.url)
        daprd = self.start(Daprd("backend", self.folder.name, api_token="secret"))
        url = f"{daprd.url}/v1.0/state/statestore-postgres"
        ask("POST", url, [{"key": "a", "value": {"x": 1}}], token="secret")
        daprd.kill()
        daprd.start()
        self.assertEqual(ask("GET", f"{url}/a", token="secret"), {"x": 1})
        with self.assertRaisesRegex(OSError, "401"):
            ask("GET", f"{url}/a")
        tables = postgres.query("select table_name from information_schema.tables "
                                "where table_name like 'dapr%' order by 1")
        self.assertEqual(tables, [["dapr_state_metadata"], ["dapr_state_store"]])

    def test_a_job_outlives_the_scheduler(self):
        scheduler = self.start(Scheduler())
        app = self.start(App())
        daprd = self.start(Daprd("notification-service", self.folder.name, app_port=app.port,
                                 scheduler=scheduler, app_token="shown"))
        ask("POST", f"{daprd.url}/v1.0-alpha1/jobs/check-due-tasks",
            {"schedule": "@every 1s", "data": {"x": 1}})
        wait_for(lambda: app.deliveries, 30, "the job")
        self.assertEqual(app.deliveries[0].path, "/job/check-due-tasks")
        self.assertEqual(app.deliveries[0].headers.get("Dapr-Api-Token"), "shown")
        scheduler.kill()
        seen = len(app.deliveries)
        scheduler.start()
        wait_for(lambda: len(app.deliveries) > seen, 60, "the job after the scheduler's restart")

    def test_placement_and_sentry_start_and_end(self):
        for process in (Placement(), Sentry()):
            with process:
                self.assertTrue(process.is_running())


class Broker(unittest.TestCase):
    def test_kafka_takes_its_user_over_plain_text_and_over_tls(self):
        kafka_python()
        from kafka import KafkaProducer
        from kafka.errors import KafkaError
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(folder)
            with Kafka(sasl=True, tls=authority.issue()) as broker:
                user = {"sasl_mechanism": "SCRAM-SHA-256", "sasl_plain_username": SCRAM_USER,
                        "sasl_plain_password": SCRAM_PASSWORD}
                for brokers, protocol in ((broker.sasl_brokers, "SASL_PLAINTEXT"),
                                          (broker.sasl_ssl_brokers, "SASL_SSL")):
                    producer = KafkaProducer(bootstrap_servers=brokers, security_protocol=protocol,
                                             ssl_cafile=authority.certificate, **user)
                    producer.send("task-events", b"x", key=b"1").get(30)
                    producer.close()
                stranger = KafkaProducer(
                    bootstrap_servers=broker.sasl_brokers, security_protocol="SASL_PLAINTEXT",
                    max_block_ms=2000, **{**user, "sasl_plain_password": "wrong"})
                with self.assertRaises(KafkaError):
                    stranger.send("task-events", b"x")
                stranger.close(0)


class Ends(unittest.TestCase):
    def test_a_part_ends_when_its_test_is_killed(self):
        script = ("import sys, time; sys.path.insert(0, sys.argv[1]); from stack import Redis\n"
                  "print(Redis().start().pid, flush=True); time.sleep(60)")
        library = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib")
        with subprocess.Popen([sys.executable, "-c", script, library], text=True,
                              stdout=subprocess.PIPE) as test:
            pid = int(test.stdout.readline())
            self.assertTrue(is_alive(pid))
            test.send_signal(signal.SIGKILL)
            wait_for(lambda: not is_alive(pid), 10, "the end of Redis")


if __name__ == "__main__":
    unittest.main(verbosity=2)
