"""From a due reminder to the mail over each way of events: todo-notification, and three replicas of
todo-email (with Dapr a sidecar each), which are killed at random; each reminder is one mail.

TODO_MCP names the server; the workers are found beside it. The argument is the way."""

import os
import random
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import (Daprd, Kafka, Redis, SmtpSink, Worker, pubsub_kafka,  # noqa: E402
                   pubsub_redis, state_postgres)
from todo_server import Postgres, Server, wait_for  # noqa: E402

APP_ID = "email-delivery-service"
PATH = "/events/reminder-sent"
COUNT, KILLS, OVER_SECONDS = 200, 4, 10


class Way(unittest.TestCase):
    """What the ways have in common."""

    state = "select count(*) from todo.state where key like 'email:event:%'"

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="todo-email-"))
        self.postgres = Postgres(fsync=False)
        self.addCleanup(self.postgres.close)
        self.sink = self.start(SmtpSink())
        self.workers, self.parts = [], []
        settings = self.open_way()
        self.server = Server(self.postgres.url, {"TODO_USER": "ann", **settings,
                                                 "TODO_EMAIL": "ann@example.org"})
        self.addCleanup(self.server.stop)
        notification = Worker("todo-notification", {"DATABASE_URL": self.postgres.url})
        self.addCleanup(notification.close)
        notification.start()
        for worker in self.workers:
            worker.wait_ready()

    def start(self, part):
        self.addCleanup(part.close)
        return part.start()

    def add_worker(self, **settings):
        worker = Worker("todo-email", {"DATABASE_URL": self.postgres.url,
                                       "SMTP_URL": self.sink.url, "SMTP_TIMEOUT_MS": "3000",
                                       **settings})
        self.addCleanup(worker.close)
        self.workers.append(worker)
        return worker

    def add_sidecar(self, app_id, app_port=None):
        sidecar = Daprd(app_id, self.folder, **({"app_port": app_port} if app_port else {}))
        self.addCleanup(sidecar.close)
        return sidecar

    def with_dapr(self):
        self.state = "select count(*) from dapr_state_store where key like '%||email:event:%'"
        state_postgres(self.folder, self.postgres.url)
        for _ in range(3):
            worker = self.add_worker(USE_DAPR="true")
            sidecar = self.add_sidecar(APP_ID, worker.port)
            worker.env["DAPR_HTTP_PORT"] = str(sidecar.port)
            worker.start(wait=False)
            self.parts.append(sidecar.start(wait=False))
        backend = self.add_sidecar("backend").start()
        return {"USE_DAPR": "true", "DAPR_HTTP_PORT": str(backend.port)}

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
            victim = draw.choice(self.workers + self.parts)
            victim.kill()
            victim.start(wait=False)

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


class Direct(Way):
    def open_way(self):
        for _ in range(3):
            self.add_worker().start(wait=False)
        # One subscriber for a topic: each subscriber gets every event, as a consumer of its own.
        return {"EVENT_SUBSCRIBERS": ",".join(f"task-reminders={w.url}{PATH}"
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
        pubsub_redis(self.folder, self.start(Redis()).address)
        return self.with_dapr()


del Way  # it is no way itself

if __name__ == "__main__":
    unittest.main(verbosity=2)
