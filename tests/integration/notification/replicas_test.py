"""todo-notification as processes: three of them at once, killed at any moment, beside a todo-mcp that
sets reminders. No broker: what counts here is what is in the outbox.

TODO_MCP names the server; the worker is found beside it."""

import os
import random
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
from peers import connect  # noqa: E402
from stack import Worker  # noqa: E402
from todo_server import Client, Postgres, Server, wait_for  # noqa: E402

NEVER = str(3600 * 1000)  # so that the poll makes nothing up
RUNS = 'todo_reminder_runs_total{outcome="done"}'
SENT = "select count(*), count(distinct key) from todo.outbox where type = 'ReminderSentEvent'"


class Replicas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)

    def setUp(self):
        self.server = Server(self.postgres.url, {"TODO_USER": "someone"})
        self.addCleanup(self.server.stop)
        self.client = Client(self.server.port)
        self.addCleanup(self.client.close)
        self.client.call("list_tasks")
        self.addCleanup(self.postgres.query, "delete from todo.tasks; delete from"
                        " todo.outbox; delete from todo.state")
        self.workers = []

    def start(self, count=1, **settings):
        for _ in range(count):
            worker = Worker("todo-notification", {"DATABASE_URL": self.postgres.url, **settings})
            self.addCleanup(worker.close)
            self.workers.append(worker.start(wait=False))
        for worker in self.workers:
            worker.wait_ready()
        return self.workers[-1]

    def end(self):
        for worker in self.workers:
            worker.end()

    def sent(self):
        return tuple(map(int, self.postgres.query(SENT)[0]))

    def add_due(self, count, over_seconds):
        """Tasks with a reminder each, due one after the other from now on."""
        self.postgres.query(f"""
            with t as (insert into todo.tasks (user_id, title, timezone, reminded_for)
                       select (select min(id) from todo.users), 'task ' || n, 'UTC', 'infinity'
                       from generate_series(1, {count}) n returning user_id, id)
            insert into todo.reminders (user_id, task_id, remind_at)
            select user_id, id, clock_timestamp()
                   + row_number() over () * interval '{over_seconds} s' / {count} from t""")

    def late_ms(self):
        """From each reminder's time to its row in the outbox, ascending."""
        return [float(row[0]) for row in self.postgres.query(
            "select extract(epoch from created_at - (data->>'reminder_time')::timestamptz) * 1000"
            " from todo.outbox where type = 'ReminderSentEvent' order by 1")]

    def test_a_thousand_reminders_and_three_replicas_that_are_killed(self):
        self.start(3)
        random.seed(7)
        self.add_due(1000, 6)
        end = time.monotonic() + 5
        kills = 0
        while time.monotonic() < end:
            time.sleep(random.uniform(0.1, 0.4))
            victim = random.choice(self.workers)
            victim.kill()
            victim.start(wait=False)
            kills += 1
        wait_for(lambda: self.sent()[0] >= 1000, 60, "the last reminder")
        for worker in self.workers:
            worker.wait_ready()
        self.assertEqual(self.sent(), (1000, 1000))
        late = self.late_ms()
        print(f"{kills} kills; late p50 {late[500]:.0f} ms, p95 {late[950]:.0f} ms,"
              f" max {late[-1]:.0f} ms")
        self.assertGreaterEqual(late[0], 0)
        self.end()
        self.assertEqual(self.sent(), (1000, 1000))

    def test_a_reminder_that_an_agent_sets_comes_at_its_time(self):
        worker = self.start(1, REMINDER_POLL_MS=NEVER)
        wait_for(lambda: worker.metrics()[RUNS], 30, "the first look")
        task = self.client.call("add_task", title="call them")["id"]
        at = self.postgres.value("select todo.rfc3339(clock_timestamp() + interval '2 s')")
        self.client.call("set_reminder", task_id=task, remind_at=at)
        wait_for(lambda: self.sent()[0], 30, "the reminder")
        late = self.late_ms()[0]
        print(f"late {late:.0f} ms")
        self.assertLess(late, 1000)
        self.assertTrue(self.client.call("get_task", task_id=task)["reminder"]["sent"])
        self.assertEqual(worker.metrics()["todo_reminders_sent_total"], 1)
        self.end()

    def test_a_task_due_within_the_hour_is_told_of_at_once(self):
        worker = self.start(1, REMINDER_POLL_MS=NEVER)
        wait_for(lambda: worker.metrics()[RUNS], 30, "the first look")
        due = self.postgres.value("select todo.rfc3339(clock_timestamp() + interval '10 min')")
        added = time.monotonic()
        self.client.call("add_task", title="soon", due_date=due)
        wait_for(lambda: self.sent()[0], 30, "the reminder")
        self.assertLess(time.monotonic() - added, 2)
        self.end()

    def test_who_subscribed_to_the_task_hears_that_its_reminder_was_sent(self):
        task = self.client.call("add_task", title="call them")["id"]
        at = self.postgres.value("select todo.rfc3339(clock_timestamp() + interval '2 s')")
        self.client.call("set_reminder", task_id=task, remind_at=at)
        uri = f"task://{task}"
        with connect(self.server) as peer:
            peer.subscribe([uri])
            time.sleep(0.5)  # what was told before the subscription has passed by
            peer.heard.clear()
            self.start(1)
            wait_for(lambda: self.sent()[0], 30, "the reminder")
            wait_for(lambda: uri in peer.heard, 10, "the notification")
        self.end()

    def test_a_downtime_is_made_up_for_once_and_at_a_pace(self):
        self.start(1, REMINDER_BATCH="20")
        self.end()
        self.workers.clear()
        self.postgres.query("update todo.state set value = json_build_object('at',"
                            " todo.rfc3339(clock_timestamp() - interval '3 hours'))")
        self.add_due(100, -7200)
        self.start(3, REMINDER_BATCH="20")
        wait_for(lambda: self.sent()[0] >= 100, 30, "the last reminder")
        self.end()
        self.assertEqual(self.sent(), (100, 100))
        seen = [line for worker in self.workers for line in worker.lines()
                if line["msg"] == "reminders were last looked for"]
        self.assertTrue(seen and max(line["seconds_ago"] for line in seen) >= 10800, seen)


if __name__ == "__main__":
    unittest.main(verbosity=2)
