"""todo-notification with sidecars and Dapr's scheduler: the job check-due-tasks is one job for three
replicas, comes on, and is come back to when the scheduler, a sidecar or a replica was killed; the
time of the last look is in the sidecar's state store.

TODO_MCP names the server; the worker is found beside it."""

import json
import os
import shutil
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import Daprd, Scheduler, Worker, http_status, state_postgres  # noqa: E402
from todo_server import Postgres, Server, wait_for  # noqa: E402

APP_ID = "notification-service"
JOB = "check-due-tasks"
RUNS = 'todo_reminder_runs_total{outcome="done"}'
SENT = "select count(*), count(distinct key) from todo.outbox where type = 'ReminderSentEvent'"


def get(url):
    """None where there is nothing yet: of a job the sidecar says that with an error."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError:
        return None


class Notification(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="todo-notification-"))
        self.postgres = Postgres(fsync=False, settings=["listen_addresses=127.0.0.1"])
        self.addCleanup(self.postgres.close)
        Server(self.postgres.url, {"TODO_USER": "someone"}).stop()  # it has made the schema
        self.postgres.query("insert into todo.users (subject) values ('someone else')")
        state_postgres(self.folder, self.postgres.url)
        self.scheduler = Scheduler()
        self.addCleanup(self.scheduler.close)
        self.scheduler.start()
        self.workers, self.sidecars = [], []
        for _ in range(3):
            self.add_replica()
        for worker in self.workers:
            worker.wait_ready()

    def add_replica(self):
        """A sidecar knows its application's port before that listens, as in a pod."""
        worker = Worker("todo-notification", {"DATABASE_URL": self.postgres.url, "USE_DAPR": "true",
                                              "REMINDER_POLL_MS": "1000"})
        sidecar = Daprd(APP_ID, self.folder, app_port=worker.port, scheduler=self.scheduler)
        worker.env["DAPR_HTTP_PORT"] = str(sidecar.port)
        self.addCleanup(sidecar.close)
        self.addCleanup(worker.close)
        worker.start(wait=False)
        self.sidecars.append(sidecar.start(wait=False))
        self.workers.append(worker)

    def runs(self):
        """Of all replicas that are up."""
        return sum(worker.metrics()[RUNS] for worker in self.workers if worker.is_healthy())

    def wait_for_runs(self, count, seconds):
        before = self.runs()
        wait_for(lambda: self.runs() >= before + count, seconds, f"{count} runs")

    def sent(self):
        return tuple(map(int, self.postgres.query(SENT)[0]))

    def add_due_silently(self, count):
        """As nobody would: without a word to the workers, so that only the poll finds it."""
        self.postgres.query(
            "insert into todo.tasks (user_id, title, timezone, due_date) select"
            " (select min(id) from todo.users), 'task ' || n, 'UTC', now() + interval '10 min'"
            f" from generate_series(1, {count}) n")

    def end(self):
        for worker in self.workers:
            worker.end()

    def test_the_job_is_one_and_comes_to_one_replica_at_a_time(self):
        for sidecar in self.sidecars:
            job = wait_for(lambda s=sidecar: get(f"{s.url}/v1.0/jobs/{JOB}"), 30, "the job")
            self.assertEqual(job["name"], JOB)
            self.assertIn(job["schedule"], ("@every 1s", "@every 1000ms"))
        self.wait_for_runs(2, 30)
        before, began = self.runs(), time.monotonic()
        wait_for(lambda: self.runs() - before >= 8, 60, "eight runs")
        # Three jobs, or one that comes to each replica, would take under three seconds.
        self.assertGreater(time.monotonic() - began, 5)
        self.add_due_silently(50)
        wait_for(lambda: self.sent()[0] >= 50, 10, "what was due")
        self.assertEqual(self.sent(), (50, 50))
        self.end()

    def test_the_last_look_is_in_the_state_store_for_an_hour(self):
        url = f"{self.sidecars[0].url}/v1.0/state/statestore-postgres/notification:last_poll"
        at = wait_for(lambda: get(url), 30, "the last look")["at"]
        wait_for(lambda: get(url)["at"] > at, 30, "a later look")
        left = self.postgres.value("select extract(epoch from expiredate - now()) from"
                                   " dapr_state_store where key like '%notification:last_poll'")
        self.assertTrue(3500 < float(left) <= 3600, left)
        self.end()

    def test_a_scheduler_that_was_killed_delays_the_poll_only(self):
        self.wait_for_runs(2, 30)
        self.scheduler.kill()
        self.add_due_silently(10)
        self.postgres.query("notify todo_changes")  # as a todo-mcp would
        wait_for(lambda: self.sent()[0] >= 10, 10, "what was due, without a scheduler")
        self.scheduler.start()
        self.wait_for_runs(5, 60)
        self.add_due_silently(10)
        wait_for(lambda: self.sent()[0] >= 20, 10, "what was due, after it came back")
        self.assertEqual(self.sent(), (20, 20))
        self.end()

    def test_a_scheduler_that_was_made_anew_is_told_of_the_job_again(self):
        self.wait_for_runs(2, 30)
        self.scheduler.kill()
        shutil.rmtree(os.path.join(self.scheduler.folder, "etcd"))
        self.scheduler.start()
        url = f"{self.sidecars[0].url}/v1.0/jobs/{JOB}"
        wait_for(lambda: http_status(url) == 200, 90, "the job")
        self.wait_for_runs(6, 20)  # their own timers alone would take longer
        self.end()

    def test_a_replica_and_a_sidecar_that_are_killed_are_made_up_for(self):
        self.wait_for_runs(2, 30)
        self.workers[0].kill()
        self.sidecars[1].kill()
        self.add_due_silently(10)
        wait_for(lambda: self.sent()[0] >= 10, 40, "what was due, by the replica that is left")
        self.workers[0].start()
        self.sidecars[1].start()
        self.workers[1].wait_ready()
        self.add_due_silently(10)
        wait_for(lambda: self.sent()[0] >= 20, 10, "what was due, with all of them")
        self.assertEqual(self.sent(), (20, 20))
        self.wait_for_runs(5, 30)
        self.end()


if __name__ == "__main__":
    unittest.main(verbosity=2)
