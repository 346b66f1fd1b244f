"""From a due reminder to the mail over each way of events: todo-notification, and three replicas of
todo-email (with Dapr a sidecar each), which are killed at random; each reminder is one mail.

TODO_MCP names the server; the workers are found beside it. The argument is the way."""

import os
import random
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import SmtpSink, Worker, state_postgres, ways  # noqa: E402
from todo_server import wait_for  # noqa: E402

APP_ID = "email-delivery-service"
COUNT, KILLS, OVER_SECONDS = 200, 4, 10


class Mails(ways.Way):
    program, app_id = "todo-email", APP_ID
    topic, path = "task-reminders", "/events/reminder-sent"
    server_env = {"TODO_USER": "ann", "TODO_EMAIL": "ann@example.org"}
    state = "select count(*) from todo.state where key like 'email:event:%'"

    def open_parts(self):
        self.sink = self.start(SmtpSink())

    def open_rest(self):
        self.start(Worker("todo-notification", {"DATABASE_URL": self.postgres.url}))

    def worker_env(self):
        return {"SMTP_URL": self.sink.url, "SMTP_TIMEOUT_MS": "3000"}

    def with_dapr(self):
        self.state = "select count(*) from dapr_state_store where key like '%||email:event:%'"
        state_postgres(self.folder, self.postgres.url)
        return super().with_dapr()

    def add_due(self):
        """Tasks whose reminders are due one after the other from now on."""
        self.postgres.query(f"""
            with t as (insert into todo.tasks (user_id, title, timezone, reminded_for)
                       select (select id from todo.users where subject = 'ann'), 'task ' || n,
                              'UTC', 'infinity'
                       from generate_series(1, {COUNT}) n returning user_id, id)
            insert into todo.reminders (user_id, task_id, remind_at)
            select user_id, id, clock_timestamp()
                   + row_number() over () * interval '{OVER_SECONDS} s' / {COUNT} from t""")

    def kill_some(self):
        draw = random.Random(5)
        for _ in range(KILLS):
            time.sleep(draw.uniform(1, OVER_SECONDS / KILLS))
            self.kill_one(draw)

    def check_latency(self, mails):
        due = dict(self.postgres.query(
            "select id::text, extract(epoch from (data->>'reminder_time')::timestamptz)"
            " from todo.outbox where type = 'ReminderSentEvent'"))
        late = sorted(at - float(due[event]) for event, at in mails.items())
        print(f"from due to mail: p50 {late[COUNT // 2]:.2f} s, p95 {late[COUNT * 95 // 100]:.2f}"
              f" s, max {late[-1]:.2f} s")
        self.assertLess(late[COUNT * 95 // 100], 30)  # a busy machine, and rebalances after kills

    def test_each_reminder_is_one_mail(self):
        self.add_due()
        self.kill_some()

        def mails():
            first = {}
            for mail in self.sink.mails():
                event = mail.message["Message-ID"].strip("<>").split("@")[0]
                first.setdefault(event, mail.envelope["at"])
            return first
        wait_for(lambda: len(mails()) >= COUNT, 120, "the last mail")
        wait_for(lambda: self.postgres.value("select count(*) from todo.inbox where consumer ="
                                             f" '{APP_ID}'") == str(COUNT), 60, "the last mark")
        titles = {mail.message["Subject"] for mail in self.sink.mails()}
        self.assertEqual(titles, {f"Reminder: task {n + 1}" for n in range(COUNT)})
        repeats = len(self.sink.mails()) - COUNT
        print(f"{KILLS} kills, {repeats} mails came twice, with the same Message-ID")
        self.assertEqual(len(mails()), COUNT)
        self.assertLessEqual(repeats, KILLS * 4)  # what each victim had between sending and mark
        self.check_latency(mails())
        self.assertEqual(self.postgres.value("select count(*) from todo.dead_letters"), "0")
        self.assertGreaterEqual(int(self.postgres.value(self.state)), COUNT)
        for worker in self.workers:
            worker.wait_ready()
            worker.end()


class Direct(ways.Balanced, Mails):
    pass


class KafkaAlone(ways.KafkaAlone, Mails):
    pass


class DaprKafka(ways.DaprKafka, Mails):
    pass


class DaprRedis(ways.DaprRedis, Mails):
    pass


del Mails  # it is no way itself

if __name__ == "__main__":
    unittest.main(verbosity=2)
