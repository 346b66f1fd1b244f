"""todo-recurring at the end of each way of events: three replicas (with Dapr a sidecar each), which
are killed at random, and each completed task has its one successor.

TODO_MCP names the server; the worker is found beside it. The argument is the way."""

import os
import random
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import Daprd, Kafka, Redis, Worker, pubsub_kafka, pubsub_redis  # noqa: E402
from todo_server import Client, Postgres, Server, wait_for  # noqa: E402

APP_ID = "recurring-task-service"
PATH = "/events/task-completed"
COUNT, ROUNDS = 40, 3


class Way(unittest.TestCase):
    """What the ways have in common."""

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="todo-recurring-"))
        self.postgres = Postgres(fsync=False)
        self.addCleanup(self.postgres.close)
        self.workers, self.parts = [], []
        settings = self.open_way()
        self.server = Server(self.postgres.url, {"TODO_USER": "someone", **settings})
        self.addCleanup(self.server.stop)
        self.client = Client(self.server.port)
        self.addCleanup(self.client.close)
        for worker in self.workers:
            worker.wait_ready()

    def start(self, part):
        self.addCleanup(part.close)
        return part.start()

    def add_worker(self, **settings):
        worker = Worker("todo-recurring", {"DATABASE_URL": self.postgres.url, **settings})
        self.addCleanup(worker.close)
        self.workers.append(worker)
        return worker

    def add_sidecar(self, app_id, app_port=None):
        sidecar = Daprd(app_id, self.folder, **({"app_port": app_port} if app_port else {}))
        self.addCleanup(sidecar.close)
        return sidecar

    def with_dapr(self):
        for _ in range(3):
            worker = self.add_worker(USE_DAPR="true")
            sidecar = self.add_sidecar(APP_ID, worker.port)
            worker.env["DAPR_HTTP_PORT"] = str(sidecar.port)
            worker.start(wait=False)
            self.parts.append(sidecar.start(wait=False))
        backend = self.add_sidecar("backend").start()
        return {"USE_DAPR": "true", "DAPR_HTTP_PORT": str(backend.port)}

    def open_tasks(self):
        return self.client.call("list_tasks", status="pending", limit=200)["tasks"]

    def kill_something(self, draw):
        victim = draw.choice(self.workers + self.parts)
        victim.kill()
        victim.start(wait=False)

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
                self.kill_something(draw)
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


class Direct(Way):
    def open_way(self):
        for _ in range(3):
            self.add_worker().start(wait=False)
        return {"EVENT_SUBSCRIBERS": ",".join(f"task-recurrence={w.url}{PATH}"
                                              for w in self.workers)}


class KafkaAlone(Way):
    def open_way(self):
        kafka = self.start(Kafka())
        for _ in range(3):
            self.add_worker(KAFKA_BROKERS=kafka.brokers).start(wait=False)
        return {"KAFKA_BROKERS": kafka.brokers}


class DaprKafka(Way):
    def open_way(self):
        pubsub_kafka(self.folder, self.start(Kafka()).brokers)
        return self.with_dapr()


class DaprRedis(Way):
    def open_way(self):
        pubsub_redis(self.folder, self.start(Redis()).address, processingTimeout="5s",
                     redeliverInterval="1s")
        return self.with_dapr()


del Way  # it is no way itself

if __name__ == "__main__":
    unittest.main(verbosity=2)
