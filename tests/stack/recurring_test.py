"""todo-recurring at the end of each way of events: three replicas (with Dapr a sidecar each), which
are killed at random, and each completed task has its one successor.

TODO_MCP names the server; the worker is found beside it. The argument is the way."""

import os
import random
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import ways  # noqa: E402
from todo_server import Client, wait_for  # noqa: E402

COUNT, ROUNDS = 40, 3


class Successors(ways.Way):
    program, app_id = "todo-recurring", "recurring-task-service"
    topic, path = "task-recurrence", "/events/task-completed"
    server_env = {"TODO_USER": "someone"}
    redis = {"processingTimeout": "5s", "redeliverInterval": "1s"}

    def open_rest(self):
        self.client = Client(self.server.port)
        self.addCleanup(self.client.close)

    def open_tasks(self):
        return self.client.call("list_tasks", status="pending", limit=200)["tasks"]

    def run_rounds(self):
        draw = random.Random(11)
        for i in range(COUNT):
            self.client.call("add_task", title=f"series {i}", due_date="2030-01-31T09:00:00Z",
                             timezone="UTC", recurrence_rule="FREQ=MONTHLY;BYMONTHDAY=-1")
        kills = 0
        for _ in range(ROUNDS):
            began = time.monotonic()
            for task in self.open_tasks():
                self.client.call("complete_task", task_id=task["id"])
            while len(self.open_tasks()) < COUNT:
                self.assertLess(time.monotonic() - began, 120, "the next tasks did not come")
                self.kill_one(draw)
                kills += 1
                until = time.monotonic() + draw.uniform(2, 6)
                while time.monotonic() < until and len(self.open_tasks()) < COUNT:
                    time.sleep(0.1)
        print(f"{COUNT} series, {ROUNDS} rounds, {kills} kills")
        time.sleep(1)  # for a successor too many

    def test_each_completed_task_has_one_successor(self):
        self.run_rounds()
        rows = self.postgres.query(
            "select count(*), count(distinct (series_id, occurrence)), min(occurrence),"
            " max(occurrence) from todo.tasks where series_id is not null")
        self.assertEqual([int(v) for v in rows[0]],
                         [COUNT * ROUNDS, COUNT * ROUNDS, 2, ROUNDS + 1])
        self.assertEqual({t["due_date"] for t in self.open_tasks()}, {"2030-04-30T09:00:00Z"})
        self.assertEqual(self.postgres.value("select count(*) from todo.dead_letters"), "0")
        wait_for(lambda: self.postgres.value("select count(*) from todo.outbox where published_at"
                                             " is null") == "0", 60, "the last event published")
        for worker in self.workers:
            worker.wait_ready()
            worker.end()


class Direct(ways.Direct, Successors):
    pass


class KafkaAlone(ways.KafkaAlone, Successors):
    pass


class DaprKafka(ways.DaprKafka, Successors):
    pass


class DaprRedis(ways.DaprRedis, Successors):
    pass


del Successors  # it is no way itself

if __name__ == "__main__":
    unittest.main(verbosity=2)
