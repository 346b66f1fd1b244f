"""Kills todo-mcp and PostgreSQL with SIGKILL in the middle of writes. Afterwards each acknowledged
change is stored with exactly one outbox row, and no event stands without its change."""

import http.client
import os
import random
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from todo_server import Client, Postgres, Server, ToolError  # noqa: E402

WRITERS = 16
ROUNDS = int(os.environ.get("KILL_ROUNDS", "5"))


class Writer(threading.Thread):
    """Adds and completes tasks until told to end; remembers what was acknowledged. With keys it
    repeats an add whose answer it did not get, which must not make a second task."""

    def __init__(self, name, port, has_keys):
        super().__init__(daemon=True)
        self.prefix = name
        self.port = port
        self.has_keys = has_keys
        self.ended = threading.Event()
        self.added = []
        self.completed = []
        self.fault = None
        self.client = None

    def call(self, tool, **arguments):
        """The answer, or None where the call failed as a fault lets it fail."""
        try:
            self.client = self.client or Client(self.port(), timeout=10)
            return self.client.call(tool, **arguments)
        except ToolError as e:
            is_safe = tool == "complete_task" or self.has_keys
            if e.body["code"] != "unavailable" or (is_safe and not e.body["retryable"]):
                self.fault = e.body
        except (OSError, http.client.HTTPException, ValueError):
            self.client = None
            time.sleep(0.02)
        return None

    def add(self, n):
        arguments = {"title": f"{self.prefix}-{n}"}
        if self.has_keys:
            arguments["idempotency_key"] = arguments["title"]
        task = self.call("add_task", **arguments)
        while not task and self.has_keys and not self.fault:
            task = self.call("add_task", **arguments)
        return task

    def run(self):
        n = 0
        while not self.ended.is_set() and not self.fault:
            n += 1
            task = self.add(n)
            if not task:
                continue
            self.added.append(task["id"])
            if n % 3 == 0 and self.call("complete_task", task_id=task["id"]):
                self.completed.append(task["id"])


class KillTest(unittest.TestCase):
    def setUp(self):
        self.postgres = Postgres()
        self.addCleanup(self.postgres.close)
        self.server = Server(self.postgres.url)
        self.addCleanup(lambda: self.server.is_running() and self.server.kill())

    def write_while(self, fault):
        writers = [Writer(f"{fault.__name__}-{i}", lambda: self.server.port, has_keys=i % 2 == 0)
                   for i in range(WRITERS)]
        for w in writers:
            w.start()
        for _ in range(ROUNDS):
            before = sum(len(w.added) for w in writers)
            time.sleep(random.uniform(0.2, 0.6))
            fault()
            deadline = time.monotonic() + 30
            while sum(len(w.added) for w in writers) <= before + WRITERS:
                self.assertLess(time.monotonic(), deadline, "writes did not resume")
                time.sleep(0.05)
        for w in writers:
            w.ended.set()
        for w in writers:
            w.join(30)
            self.assertFalse(w.is_alive(), "a writer hangs")
            self.assertIsNone(w.fault)
        keyed = [w for w in writers if w.has_keys]
        stored = int(self.postgres.value(
            "select count(*) from todo.idempotency_keys where task_id is not null"))
        self.assertEqual(stored, sum(len(w.added) for w in keyed), "each keyed add took place once")
        self.check([i for w in writers for i in w.added],
                   [i for w in writers for i in w.completed])

    def check(self, added, completed):
        self.assertEqual(len(added), len(set(added)))
        stored = {int(r[0]) for r in self.postgres.query("select id from todo.tasks")}
        done = {int(r[0]) for r in
                self.postgres.query("select id from todo.tasks where completed")}
        events = [(r[0], int(r[1])) for r in self.postgres.query(
            "select data->>'event_type', (data->>'task_id')::bigint from todo.outbox")]
        created = [i for t, i in events if t == "task.created"]
        finished = [i for t, i in events if t == "task.completed"]
        self.assertGreater(len(added), WRITERS)
        self.assertLessEqual(set(added), stored, "an acknowledged task is missing")
        self.assertLessEqual(set(completed), done, "an acknowledged completion is missing")
        self.assertEqual(sorted(created), sorted(stored), "one task.created for each task")
        self.assertEqual(sorted(finished), sorted(done), "one task.completed for each completion")
        print(f"acknowledged: {len(added)} adds, {len(completed)} completions; "
              f"stored: {len(stored)} tasks, {len(events)} events", file=sys.stderr)

    def test_kill_of_the_server_loses_no_acknowledged_change(self):
        def restart_server():
            self.server.kill()
            self.server.start()
        self.write_while(restart_server)
        self.server.stop()

    def test_kill_of_postgresql_loses_no_acknowledged_change(self):
        def restart_postgresql():
            self.postgres.kill()
            time.sleep(random.uniform(0, 0.3))
            self.postgres.start()
        self.write_while(restart_postgresql)
        self.server.stop()


class ConcurrencyTest(unittest.TestCase):
    def test_1000_calls_from_64_connections_equal_rows_and_events(self):
        postgres = Postgres(fsync=False)
        self.addCleanup(postgres.close)
        server = Server(postgres.url)
        self.addCleanup(lambda: server.is_running() and server.kill())
        acknowledged, failures, lock = [], [], threading.Lock()

        def work(connection, calls):
            client = Client(server.port)
            for n in range(calls):
                try:
                    task = client.call("add_task", title=f"c{connection}-{n}")
                    with lock:
                        acknowledged.append(task["id"])
                except Exception as e:  # noqa: BLE001 - each one is a failure of the test
                    with lock:
                        failures.append(repr(e))

        threads = [threading.Thread(target=work, args=(i, 1000 // 64 + (i < 1000 % 64)))
                   for i in range(64)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(failures, [])
        self.assertEqual(len(set(acknowledged)), 1000)
        self.assertEqual(postgres.value("select count(*) from todo.tasks"), "1000")
        self.assertEqual(postgres.value("select count(*) from todo.outbox"), "1000")
        self.assertEqual(postgres.value(
            "select count(distinct data->>'task_id') from todo.outbox"), "1000")
        server.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
