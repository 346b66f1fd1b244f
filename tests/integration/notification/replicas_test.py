"""todo-notification as processes: three of them at once, killed at any moment, beside a todo-mcp that
sets reminders. No broker: what counts here is what is in the outbox.

TODO_MCP names the server; the worker is found beside it."""

import datetime
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
from stack import App, Worker  # noqa: E402
from todo_server import Client, Postgres, Server, ToolError, wait_for  # noqa: E402

NEVER = str(3600 * 1000)  # so that the poll makes nothing up
RUNS = 'todo_reminder_runs_total{outcome="done"}'
SENT = "select count(*), count(distinct key) from todo.outbox where type = 'ReminderSentEvent'"


class Replicas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)

    def setUp(self):
        self.server = Server(self.postgres.url, {"TODO_USER": "someone", "RELAY": "false"})
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

    def test_the_relay_of_another_process_is_woken(self):
        self.start(1)
        with subprocess.Popen(["psql", "-X", "-d", self.postgres.url, "-c", "listen todo_outbox",
                               "-c", "select pg_sleep(3)"], text=True,
                              stdout=subprocess.PIPE) as listener:
            time.sleep(0.5)
            self.add_due(1, 0)
            self.postgres.query("notify todo_changes")
            wait_for(lambda: self.sent()[0], 30, "the reminder")
            heard = listener.communicate(timeout=30)[0]
        self.assertIn('Asynchronous notification "todo_outbox"', heard)
        self.end()

    def test_from_the_time_set_to_the_subscriber_takes_less_than_a_second(self):
        """All the way: timer, statement, bell, relay, delivery."""
        app = self.enterContext(App())
        server = Server(self.postgres.url, {"TODO_USER": "someone", "EVENT_SUBSCRIBERS":
                        f"task-reminders=http://127.0.0.1:{app.port}/events/reminder-sent"})
        self.addCleanup(server.stop)
        self.start(1)
        self.add_due(20, 4)
        wait_for(lambda: len(app.deliveries) >= 20, 30, "the deliveries")
        self.end()
        late = sorted(d.at - datetime.datetime.fromisoformat(
            d.json()["data"]["reminder_time"]).timestamp() for d in app.deliveries)
        print(f"from due to delivered: p50 {late[10] * 1000:.0f} ms, max {late[-1] * 1000:.0f} ms")
        self.assertLess(late[18], 1)

    # ---- changes at the same time ----

    def now_and(self, minutes):
        return self.postgres.value(
            f"select todo.rfc3339(clock_timestamp() + interval '{minutes} min')")

    def change_at_random(self, seed, until):
        """An agent that cannot make up its mind about ten tasks of its own."""
        rng = random.Random(seed)
        client = Client(self.server.port)
        dates = [self.now_and(minutes) for minutes in (-30, 10, 20, 30, 40, 50, 600)]
        tasks = [client.call("add_task", title=f"{seed}", due_date=rng.choice(dates))["id"]
                 for _ in range(10)]
        while time.monotonic() < until:
            task = rng.choice(tasks)
            change = rng.choice([
                ("update_task", {"due_date": rng.choice(dates)}),
                ("update_task", {"due_date": rng.choice(dates)}),
                ("update_task", {"completed": False}), ("complete_task", {}),
                ("set_reminder", {"remind_before_minutes": rng.choice((5, 60))}),
                ("set_reminder", {"remind_before_minutes": None}),
                ("update_task", {"title": f"{rng.random()}"}), ("delete_task", {})])
            if change[0] == "delete_task" and rng.random() < 0.7:
                continue
            try:
                client.call(change[0], task_id=task, **change[1])
            except ToolError as error:
                self.assertEqual(error.body["code"], "not_found")
        client.close()

    def test_a_reminder_never_tells_of_what_has_changed_before_it(self):
        """Each task's events in their order: what a reminder says is what the change before it
        left, none comes of a task that is done or gone, and none twice for one arming."""
        self.start(3)
        until = time.monotonic() + 6
        agents = [threading.Thread(target=self.change_at_random, args=(seed, until))
                  for seed in range(4)]
        for agent in agents:
            agent.start()
        for agent in agents:
            agent.join()
        time.sleep(1)
        self.end()
        events = [(key, kind, json.loads(data)) for key, kind, data in self.postgres.query(
            "select key, type, data from todo.outbox order by seq")]
        tasks, reminders = {}, 0
        for key, kind, data in events:
            if kind == "ReminderSentEvent":
                reminders += 1
                self.check_reminder(key, tasks[key], data)
            else:
                self.follow(tasks, key, kind, data)
        print(f"{len(events)} events, {reminders} reminders")
        self.assertGreater(reminders, 10)
        self.check_completeness(tasks)

    @staticmethod
    def follow(tasks, key, kind, data):
        task = tasks.setdefault(key, {"state": "pending", "sent_for": set(), "own": False,
                                      "none": False})
        fields = data.get("updated_fields", {})
        if kind == "TaskCreatedEvent":
            task["due"] = data["due_date"]
        elif kind == "TaskCompletedEvent":
            task["state"] = "completed"
        elif kind == "TaskDeletedEvent":
            task["state"] = "deleted"
        if "due_date" in fields:
            task["due"] = fields["due_date"]
            task["sent_for"].clear()
        if "completed" in fields:
            task["state"] = "pending"
        if "reminder" in fields:
            task["own"], task["none"] = bool(fields["reminder"]), not fields["reminder"]
            task["sent_for"].clear()

    def check_reminder(self, key, task, data):
        self.assertEqual(task["state"], "pending", key)
        self.assertEqual(data["due_date"], task["due"], key)
        self.assertFalse(task["none"], key)
        self.assertNotIn(data["due_date"], task["sent_for"], key)
        task["sent_for"].add(data["due_date"])

    def check_completeness(self, tasks):
        """What is pending, due within the hour and wants one has had its reminder."""
        soon = self.now_and(57)
        now = self.now_and(0)
        for key, task in tasks.items():
            wants = (task["state"] == "pending" and not task["own"] and not task["none"]
                     and now < task["due"] < soon)
            if wants and not self.is_decided(key):
                self.assertIn(task["due"], task["sent_for"], key)

    def is_decided(self, key):
        """set_reminder null where no reminder was set ends the default one without an event."""
        return self.postgres.value("select reminded_for = 'infinity' from todo.tasks"
                                   f" where id = {key}") == "t"

    def test_what_is_told_is_what_the_contract_promises(self):
        self.start(1)
        self.add_due(2, 0)
        for priority in ("low", "medium", "high", "urgent"):
            self.client.call("add_task", title='a "title"\\ \u20ac', priority=priority,
                             due_date=self.now_and(30))
        wait_for(lambda: self.sent()[0] >= 6, 30, "the reminders")
        self.end()
        rows = self.postgres.query("select type, data from todo.outbox order by seq")
        judged = subprocess.run([os.environ["TODO_EVENT_CHECK"]], text=True, check=False,
                                input="".join(f"{kind}\t{data}\n" for kind, data in rows),
                                stdout=subprocess.PIPE)
        self.assertEqual(judged.returncode, 0, judged.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
