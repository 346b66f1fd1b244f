"""todo-recurring as processes: the whole way from complete_task to the next task, and three workers
that are killed while each event comes to them several times.

TODO_MCP names the server; the worker is found beside it."""

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
from peers import connect  # noqa: E402
from stack import Worker  # noqa: E402
from todo_server import Client, Postgres, Server, wait_for  # noqa: E402

PATH = "/events/task-completed"
CREATED = 'todo_recurrences_total{outcome="created"}'
EVENTS = """select jsonb_build_object('specversion', '1.0', 'id', id, 'source',
    '/todo/mcp-server', 'type', type, 'subject', 'task/' || key, 'time', todo.rfc3339(created_at),
    'datacontenttype', 'application/json', 'partitionkey', key, 'data', data)
    from todo.outbox where type = 'TaskCompletedEvent' order by seq"""


class Replicas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)

    def setUp(self):
        self.workers = []

    def start(self, count=1):
        for _ in range(count):
            worker = Worker("todo-recurring", {"DATABASE_URL": self.postgres.url})
            self.addCleanup(worker.close)
            self.workers.append(worker.start(wait=False))
        for worker in self.workers:
            worker.wait_ready()

    def serve(self, subscriber):
        server = Server(self.postgres.url, {
            "TODO_USER": self.id(), "EVENT_SUBSCRIBERS": f"task-recurrence={subscriber}"})
        self.addCleanup(server.stop)
        client = Client(server.port)
        self.addCleanup(client.close)
        return server, client

    def tearDown(self):
        self.postgres.query("delete from todo.tasks; truncate todo.outbox, todo.inbox,"
                            " todo.dead_letters")

    def open_tasks(self, client):
        return client.call("list_tasks", status="pending", limit=200)["tasks"]

    def check_events(self):
        """What the worker has written is what events/event.c promises."""
        rows = self.postgres.query("select type, data from todo.outbox order by seq")
        judged = subprocess.run([os.environ["TODO_EVENT_CHECK"]], text=True, check=False,
                                input="".join(f"{r[0]}\t{r[1]}\n" for r in rows),
                                stdout=subprocess.PIPE)
        self.assertEqual(judged.returncode, 0, judged.stdout)

    def test_completing_a_task_brings_the_next_one(self):
        self.start()
        server, client = self.serve(self.workers[0].url + PATH)
        tag = client.call("create_tag", name="home")["id"]
        category = client.call("create_category", name="chores")["id"]
        task = client.call("add_task", title="take out the bins", tag_ids=[tag],
                           category_id=category, due_date="2030-03-30T02:30:00+01:00",
                           timezone="Europe/Berlin", recurrence_rule="daily")
        client.call("set_reminder", task_id=task["id"], remind_before_minutes=15)
        due = []
        for _ in range(3):
            begin = time.monotonic()
            client.call("complete_task", task_id=task["id"])
            task = wait_for(lambda: self.open_tasks(client), 30, "the next task")[0]
            took = time.monotonic() - begin
            task = client.call("get_task", task_id=task["id"])
            self.assertEqual((task["title"], task["category"]["id"], task["tags"][0]["id"],
                              task["reminder"]["remind_before_minutes"], task["version"]),
                             ("take out the bins", category, tag, 15, 1))
            due.append(task["due_date"])
        print(f"the next task after {took * 1000:.0f} ms")
        self.assertEqual(due, ["2030-03-31T01:30:00Z", "2030-04-01T00:30:00Z",
                               "2030-04-02T00:30:00Z"])
        self.assertLess(took, 5)
        self.check_events()
        self.workers[0].end()

    def test_who_subscribed_hears_of_the_next_task(self):
        self.start()
        server, client = self.serve(self.workers[0].url + PATH)
        category = client.call("create_category", name="chores")["id"]
        task = client.call("add_task", title="t", category_id=category, recurrence_rule="daily",
                           due_date="2030-06-01T09:00:00Z")
        uri = f"category://{category}"
        with connect(server) as peer:
            peer.subscribe([uri])
            client.call("complete_task", task_id=task["id"])
            wait_for(lambda: self.open_tasks(client), 30, "the next task")
            time.sleep(0.5)  # what the completion itself has told has passed by
            peer.heard.clear()
            client.call("complete_task", task_id=self.open_tasks(client)[0]["id"])
            wait_for(lambda: peer.heard.count(uri) >= 1, 10, "the notification")
        self.workers[0].end()

    def test_a_worker_that_was_away_makes_up_for_it(self):
        self.start()
        worker = self.workers[0]
        server, client = self.serve(worker.url + PATH)
        tasks = [client.call("add_task", title=f"t{i}", due_date="2030-06-01T09:00:00Z",
                             recurrence_rule="FREQ=WEEKLY")["id"] for i in range(20)]
        worker.kill()
        for task in tasks:
            client.call("complete_task", task_id=task)
        self.assertEqual(self.open_tasks(client), [])
        worker.start()
        wait_for(lambda: len(self.open_tasks(client)) == 20, 60, "the next tasks")
        worker.end()

    # ---- three workers that are killed ----

    def deliver(self, seed, events, done):
        """Gives each event to some worker until one takes it."""
        draw = random.Random(seed)
        draw.shuffle(events)
        for event in events:
            while True:
                worker = draw.choice(self.workers)
                connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=30)
                try:
                    connection.request("POST", PATH, json.dumps(event),
                                       {"Content-Type": "application/cloudevents+json"})
                    if connection.getresponse().status == 200:
                        break
                except OSError:
                    pass
                finally:
                    connection.close()
                time.sleep(draw.uniform(0.01, 0.05))
        done.append(seed)

    def test_each_completion_has_one_successor_while_three_workers_are_killed(self):
        count, rounds = 60, 3
        self.start(3)
        # Nobody listens there: this test delivers by itself.
        server, client = self.serve("http://127.0.0.1:9/events/task-completed")
        for i in range(count):
            client.call("add_task", title=f"series {i}", due_date="2030-01-31T09:00:00Z",
                        recurrence_rule="FREQ=MONTHLY;BYMONTHDAY=-1")
        kills = 0
        for _ in range(rounds):
            for task in self.open_tasks(client):
                client.call("complete_task", task_id=task["id"])
            events = [json.loads(row[0]) for row in self.postgres.query(EVENTS)]
            done = []
            threads = [threading.Thread(target=self.deliver, args=(seed, list(events), done))
                       for seed in range(4)]
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                time.sleep(random.uniform(0.1, 0.3))
                victim = random.choice(self.workers)
                victim.kill()
                victim.start(wait=False)
                kills += 1
            self.assertEqual(len(done), 4)
            self.assertEqual(len(self.open_tasks(client)), count)
        print(f"{count} series, {rounds} rounds, each event 4 to 12 times, {kills} kills")
        rows = self.postgres.query(
            "select count(*), count(distinct (series_id, occurrence)), min(occurrence),"
            " max(occurrence) from todo.tasks where series_id is not null")
        self.assertEqual([int(v) for v in rows[0]], [count * rounds, count * rounds, 2, rounds + 1])
        created = self.postgres.value("select count(*) from todo.outbox where type ="
                                      " 'TaskCreatedEvent' and source = 'recurring-task-service'")
        self.assertEqual(int(created), count * rounds)
        self.assertEqual({t["due_date"] for t in self.open_tasks(client)},
                         {"2030-04-30T09:00:00Z"})
        self.assertEqual(self.postgres.value("select count(*) from todo.dead_letters"), "0")
        self.check_events()
        for worker in self.workers:
            worker.wait_ready()
            worker.end()


if __name__ == "__main__":
    unittest.main(verbosity=2)
