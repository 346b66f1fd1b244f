"""todo-email as processes, beside a real SMTP server that fails as it is told: each event gives one
mail, whoever is killed and however often it comes; a mail that cannot be sent now is sent later.

TODO_MCP names the server; the worker is found beside it."""

import concurrent.futures
import contextlib
import http.client
import json
import mailbox
import os
import shutil
import signal
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
from stack import Authority, SmtpSink, Worker  # noqa: E402
from todo_server import Postgres, Server, wait_for  # noqa: E402
from workers import CLOUDEVENT, event  # noqa: E402

APP_ID = "email-delivery-service"
ADDRESS = "ann@example.org"


def deliver(worker, message, timeout=60):
    """The status of one delivery; None when the worker is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=timeout)
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("POST", "/events/reminder-sent", json.dumps(message).encode(),
                           {"Content-Type": CLOUDEVENT})
        status = connection.getresponse().status
        connection.close()
        return status
    return None


def deliver_until_done(worker, message, seconds=40):
    """As a broker: again until it is taken. How often it was delivered."""
    end = time.monotonic() + seconds
    for count in range(1, 1000):
        if deliver(worker, message) == 200:
            return count
        if time.monotonic() > end:
            raise TimeoutError("the event was never taken:\n" + worker.log_tail())
        time.sleep(0.05)


class Case(unittest.TestCase):
    """Each test has a sink and a user of its own."""

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)
        server = Server(cls.postgres.url)  # makes the schema
        server.stop()

    def setUp(self):
        self.user = self.add_user(ADDRESS)

    def add_user(self, address, zone="Europe/Berlin"):
        value = f"'{address}'" if address else "null"
        return int(self.postgres.value(
            "insert into todo.users (subject, email, timezone) values (gen_random_uuid()::text,"
            f" {value}, '{zone}') returning id"))

    def sink(self, **options):
        sink = SmtpSink(**options).start()
        self.addCleanup(sink.close)
        return sink

    def worker(self, sink=None, **settings):
        url = {"SMTP_URL": sink.url} if sink else {}
        worker = Worker("todo-email", {"DATABASE_URL": self.postgres.url, **url,
                                       "SMTP_FROM": "Todo <todo@example.com>",
                                       "LOG_LEVEL": "debug", **settings})
        self.addCleanup(worker.close)
        return worker.start()

    def reminder(self, **data):
        return event("ReminderSentEvent", user_id=data.pop("user_id", self.user), **data)

    def deaths(self, message):
        return self.postgres.query("select reason from todo.dead_letters where consumer ="
                                   f" '{APP_ID}' and event_id = '{message['id']}'")

    def is_in_inbox(self, message):
        return self.postgres.value(f"select count(*) from todo.inbox where consumer = '{APP_ID}'"
                                   f" and event_id = '{message['id']}'") == "1"

    def outcome(self, worker, word):
        return worker.metrics()[f'todo_mails_total{{outcome="{word}"}}']

    def claims(self, worker, word):
        return worker.metrics()[f'todo_mail_claims_total{{outcome="{word}"}}']


class Once(Case):
    def test_an_event_gives_one_mail_however_often_it_comes(self):
        sink = self.sink()
        worker = self.worker(sink)
        message = self.reminder(title="Call them")
        for _ in range(3):
            self.assertEqual(deliver(worker, message), 200)
        self.assertEqual(len(sink.mails()), 1)
        self.assertTrue(self.is_in_inbox(message))
        self.assertEqual(self.outcome(worker, "sent"), 1)
        self.assertEqual(self.outcome(worker, "duplicate"), 2)
        self.assertEqual(worker.metrics()["todo_smtp_seconds_count"], 1)
        state = self.postgres.query("select value->>'status', round(extract(epoch from expires_at"
                                    " - now()) / 86400) from todo.state where key ="
                                    f" 'email:event:{message['id']}'")
        self.assertEqual(state, [["sent", "7"]])
        worker.end()

    def test_three_replicas_with_the_same_event_at_once_send_one_mail(self):
        sink = self.sink()
        sink.rules({"at": "message", "store": True, "delay": 1})
        workers = [self.worker(sink) for _ in range(3)]
        message = self.reminder(title="Call them")
        with concurrent.futures.ThreadPoolExecutor(9) as pool:
            counts = list(pool.map(lambda w: deliver_until_done(w, message), workers * 3))
        self.assertEqual(len(sink.mails()), 1)
        self.assertGreater(sum(counts), 9)  # who lost the claim was asked again
        self.assertGreater(sum(self.claims(w, "lost") for w in workers), 0)
        for worker in workers:
            worker.end()

    def test_many_events_over_three_replicas_give_one_mail_each(self):
        sink = self.sink()
        workers = [self.worker(sink) for _ in range(3)]
        messages = [self.reminder(title=f"n {n}", task_id=n + 1) for n in range(150)]
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            list(pool.map(lambda i: deliver_until_done(workers[i % 3], messages[i % 150]),
                          range(300)))
        ids = [mail.message["Message-ID"] for mail in sink.mails()]
        self.assertEqual(sorted(ids), sorted(f"<{m['id']}@example.com>" for m in messages))
        for worker in workers:
            worker.end()

    def test_a_worker_killed_between_sending_and_marking_repeats_the_same_mail(self):
        sink = self.sink()
        sink.rules({"at": "message", "store": True, "delay": 60, "times": 1})
        worker = self.worker(sink, SMTP_TIMEOUT_MS="2000")
        message = self.reminder(title="Call them")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            first = pool.submit(deliver, worker, message)
            wait_for(sink.mails, 20, "the mail")
            worker.kill()
            self.assertIsNone(first.result())
        self.assertFalse(self.is_in_inbox(message))
        worker.start()
        self.assertEqual(deliver(worker, message), 503)  # the dead worker's lease
        deliver_until_done(worker, message)
        mails = sink.mails()
        self.assertEqual(len(mails), 2)
        self.assertEqual(mails[0].raw, mails[1].raw)
        self.assertEqual(mails[0].message["Message-ID"], f"<{message['id']}@example.com>")
        self.assertEqual(self.claims(worker, "taken_over"), 1)
        self.assertEqual(deliver(worker, message), 200)
        self.assertEqual(len(sink.mails()), 2)
        worker.end()

    def test_another_takes_the_claim_of_a_dead_worker_over(self):
        sink = self.sink()
        sink.rules({"at": "mail", "delay": 60})
        workers = [self.worker(sink) for _ in range(2)]  # a mail may take 20 s
        message = self.reminder(title="Call them")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            first = pool.submit(deliver, workers[0], message)
            wait_for(lambda: self.claims(workers[0], "won"), 20, "the claim")
            workers[0].process.send_signal(signal.SIGKILL)
            self.assertIsNone(first.result())
        sink.rules()
        began = time.monotonic()
        deliver_until_done(workers[1], message)
        self.assertLess(time.monotonic() - began, 12)
        self.assertEqual(len(sink.mails()), 1)
        self.assertEqual(self.claims(workers[1], "taken_over"), 1)
        workers[1].end()

    def test_a_mail_that_takes_longer_than_a_lease_stays_its_workers(self):
        sink = self.sink()
        sink.rules({"at": "message", "store": True, "delay": 9})
        workers = [self.worker(sink) for _ in range(2)]
        message = self.reminder(title="Call them")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            first = pool.submit(deliver, workers[0], message)
            wait_for(sink.mails, 20, "the mail")
            self.assertGreater(deliver_until_done(workers[1], message), 3)
            self.assertEqual(first.result(), 200)
        self.assertEqual(len(sink.mails()), 1)
        self.assertEqual(self.claims(workers[1], "taken_over"), 0)
        for worker in workers:
            worker.end()

    def test_what_was_sent_under_another_transport_is_not_sent_again(self):
        sink = self.sink()
        worker = self.worker(sink)
        message = self.reminder(title="Call them")
        self.assertEqual(deliver(worker, message), 200)
        self.postgres.query("delete from todo.state")  # a swap leaves that behind
        self.assertEqual(deliver(worker, message), 200)
        self.assertEqual(len(sink.mails()), 1)
        worker.end()

    def test_what_is_only_marked_in_the_state_store_is_not_sent_again(self):
        sink = self.sink()
        worker = self.worker(sink)
        message = self.reminder(title="Call them")
        self.assertEqual(deliver(worker, message), 200)
        self.postgres.query("delete from todo.inbox")
        self.assertEqual(deliver(worker, message), 200)
        self.assertEqual(len(sink.mails()), 1)
        self.assertTrue(self.is_in_inbox(message))
        worker.end()


class Faults(Case):
    def sent_after(self, sink, worker, message, mails=1):
        """It is taken in the end, with so many mails, and is nobody's dead letter."""
        deliver_until_done(worker, message)
        self.assertEqual(len(sink.mails()), mails)
        self.assertEqual({m.message["Message-ID"] for m in sink.mails()},
                         {f"<{message['id']}@example.com>"})
        self.assertEqual(self.deaths(message), [])
        worker.end()

    def check_temporary(self, rule, code=None, word="temporary", mails=1, **settings):
        sink = self.sink()
        sink.rules({**rule, "times": 2})
        worker = self.worker(sink, **settings)
        message = self.reminder(title="Call them")
        self.assertEqual(deliver(worker, message), 503)
        self.assertEqual(self.outcome(worker, word), 1)
        if code:
            lines = [line for line in worker.lines() if line["msg"].startswith("mail not sent")]
            self.assertEqual([line["code"] for line in lines], [code])
        self.sent_after(sink, worker, message, mails)

    def test_a_server_that_is_down_is_waited_for(self):
        sink = self.sink()
        worker = self.worker(sink)
        sink.kill()
        message = self.reminder(title="Call them")
        for _ in range(3):
            self.assertEqual(deliver(worker, message), 503)
        self.assertEqual(self.outcome(worker, "unknown"), 0)
        sink.start()
        self.sent_after(sink, worker, message)

    def test_421_at_the_greeting_is_tried_again(self):
        self.check_temporary({"at": "connect", "answer": "421 4.3.2 busy"}, 421)

    def test_451_for_the_recipient_is_tried_again(self):
        self.check_temporary({"at": "rcpt", "answer": "451 4.7.1 greylisted"}, 451)

    def test_451_after_the_data_is_tried_again(self):
        self.check_temporary({"at": "message", "answer": "451 4.3.0 later"}, 451)

    def test_a_slow_server_is_given_up_and_tried_again(self):
        self.check_temporary({"at": "rcpt", "delay": 30}, SMTP_TIMEOUT_MS="1000")

    def test_a_connection_dropped_in_the_data_is_tried_again(self):
        self.check_temporary({"at": "data", "drop": True})

    def test_a_mail_that_may_have_arrived_comes_again_with_the_same_id(self):
        self.check_temporary({"at": "message", "store": True, "drop": True}, word="unknown",
                             mails=3)

    def test_550_is_a_dead_letter_with_the_servers_words(self):
        sink = self.sink()
        sink.rules({"at": "rcpt", "answer": "550 5.1.1 no such user here"})
        worker = self.worker(sink)
        message = self.reminder(title="Call them")
        self.assertEqual(deliver(worker, message), 200)
        self.assertEqual(self.deaths(message),
                         [["SMTP recipient: 550 5.1.1 no such user here"]])
        self.assertEqual(self.outcome(worker, "permanent"), 1)
        other = self.reminder(title="Call them", user_id=self.add_user("bob@example.org"))
        sink.rules()
        self.assertEqual(deliver(worker, other), 200)
        self.assertEqual(len(sink.mails()), 1)
        worker.end()

    def test_one_recipient_that_has_to_wait_holds_up_no_other(self):
        sink = self.sink()
        sink.rules({"at": "rcpt", "answer": "451 4.7.1 greylisted", "to": "bob"})
        worker = self.worker(sink)
        slow = self.reminder(title="Call them", user_id=self.add_user("bob@example.org"))
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(deliver, worker, slow) for _ in range(4)]
            began = time.monotonic()
            for _ in range(20):
                self.assertEqual(deliver(worker, self.reminder(title="now")), 200)
            self.assertLess(time.monotonic() - began, 5)
            self.assertEqual({w.result() for w in waiting}, {503})
        self.assertEqual(len(sink.mails()), 20)
        worker.end()

    def test_a_login_that_is_refused_is_waited_for(self):
        sink = self.sink(user=("todo", "right"))
        worker = self.worker(sink, SMTP_USERNAME="todo", SMTP_PASSWORD="wrong-secret")
        message = self.reminder(title="Call them")
        self.assertEqual(deliver(worker, message), 503)
        self.assertEqual(self.deaths(message), [])
        self.assertNotIn("wrong-secret", worker.log_tail(1 << 20))
        worker.end()
        worker = self.worker(sink, SMTP_URL=sink.url.replace("//", "//todo:right@"))
        self.assertEqual(deliver_until_done(worker, message), 1)
        self.assertEqual(sink.mails()[0].envelope["user"], "todo")
        self.assertNotIn("right", worker.log_tail(1 << 20))
        worker.end()

    def test_a_database_that_is_away_makes_no_dead_letter(self):
        postgres = Postgres(fsync=False)
        self.addCleanup(postgres.close)
        Server(postgres.url).stop()
        sink = self.sink()
        worker = self.worker(sink, DATABASE_URL=postgres.url, STATEMENT_TIMEOUT_MS="500")
        user = int(postgres.value("insert into todo.users (subject, email) values ('x',"
                                  f" '{ADDRESS}') returning id"))
        message = self.reminder(title="Call them", user_id=user)
        postgres.kill()
        self.assertEqual(deliver(worker, message), 503)
        postgres.start()
        deliver_until_done(worker, message)
        self.assertEqual(len(sink.mails()), 1)
        self.assertEqual(postgres.value("select count(*) from todo.dead_letters"), "0")
        worker.end()


class Encryption(Case):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.mkdtemp(prefix="todo-tls-")
        self.addCleanup(lambda: shutil.rmtree(self.folder))
        self.authority = Authority(self.folder)

    def check_sent(self, sink, **settings):
        worker = self.worker(sink, **settings)
        for _ in range(3):
            self.assertEqual(deliver(worker, self.reminder(title="Call them")), 200)
        self.assertEqual([m.envelope["tls"] for m in sink.mails()], [True] * 3)
        worker.end()

    def check_not_sent(self, sink, words, **settings):
        worker = self.worker(sink, **settings)
        message = self.reminder(title="Call them")
        self.assertEqual(deliver(worker, message), 503)
        self.assertEqual(sink.mails(), [])
        self.assertEqual(self.deaths(message), [])
        reasons = [line["reason"] for line in worker.lines() if "phase" in line]
        self.assertRegex(reasons[0], words)
        worker.end()

    def test_a_mail_goes_over_starttls(self):
        self.check_sent(self.sink(tls=self.authority.issue()), SMTP_STARTTLS="required",
                        SMTP_CA_FILE=self.authority.certificate)

    def test_a_mail_goes_over_tls_from_the_start(self):
        self.check_sent(self.sink(tls=self.authority.issue(), implicit=True),
                        SMTP_CA_FILE=self.authority.certificate)

    def test_a_login_goes_over_starttls(self):
        sink = self.sink(tls=self.authority.issue(), user=("todo", "right"))
        self.check_sent(sink, SMTP_STARTTLS="required", SMTP_USERNAME="todo",
                        SMTP_PASSWORD="right", SMTP_CA_FILE=self.authority.certificate)

    def test_an_unknown_authority_gets_nothing(self):
        self.check_not_sent(self.sink(tls=self.authority.issue()), "certificate",
                            SMTP_STARTTLS="required")

    def test_a_certificate_of_another_host_gets_nothing(self):
        wrong = self.authority.issue("wrong", ["DNS:mail.example.org"])
        self.check_not_sent(self.sink(tls=wrong, implicit=True), "(?i)subject|certificate",
                            SMTP_CA_FILE=self.authority.certificate)

    def test_a_server_without_the_encryption_that_is_required_gets_nothing(self):
        self.check_not_sent(self.sink(), "STARTTLS", SMTP_STARTTLS="required")


class Nobody(Case):
    def test_a_user_without_an_address_is_done_with(self):
        sink = self.sink()
        worker = self.worker(sink)
        message = self.reminder(title="Call them", user_id=self.add_user(None))
        self.assertEqual(deliver(worker, message), 200)
        self.assertEqual(self.outcome(worker, "no_address"), 1)
        self.assertTrue(self.is_in_inbox(message))
        gone = self.reminder(title="Call them", user_id=99999999)
        self.assertEqual(deliver(worker, gone), 200)
        self.assertEqual(self.outcome(worker, "no_user"), 1)
        evil = self.reminder(user_id=self.add_user("a@b.org>, <c@d.org"))
        self.assertEqual(deliver(worker, evil), 200)
        self.assertEqual(self.outcome(worker, "no_address"), 2)
        self.assertEqual(sink.mails(), [])
        worker.end()

    def test_a_time_zone_that_nobody_knows_is_utc(self):
        sink = self.sink()
        worker = self.worker(sink)
        user = self.add_user(ADDRESS, "Mars/Olympus")
        self.assertEqual(deliver(worker, self.reminder(
            user_id=user, due_date="2026-07-01T10:00:00Z")), 200)
        text = sink.mails()[0].message.get_body(("plain",)).get_content()
        self.assertIn("Wednesday, 1 July 2026, 10:00 (UTC)", text)
        worker.end()


class Address(Case):
    def test_the_local_user_has_the_address_of_the_settings(self):
        sink = self.sink()
        worker = self.worker(sink)
        for address in ("first@example.org", None, "second@example.org"):
            env = {"TODO_USER": "local", **({"TODO_EMAIL": address} if address else {})}
            Server(self.postgres.url, env).stop()
            user = int(self.postgres.value("select id from todo.users where subject = 'local'"))
            self.assertEqual(deliver(worker, self.reminder(title="x", user_id=user)), 200)
        self.assertEqual([mail.envelope["to"] for mail in sink.mails()],
                         [["first@example.org"], ["first@example.org"], ["second@example.org"]])
        with self.assertRaisesRegex(RuntimeError, "TODO_EMAIL"):
            Server(self.postgres.url, {"TODO_EMAIL": "a@b.org, c@d.org"})
        worker.end()


class Mailbox(Case):
    def setUp(self):
        super().setUp()
        self.folder = tempfile.mkdtemp(prefix="todo-mailbox-")
        self.addCleanup(lambda: shutil.rmtree(self.folder))
        self.maildir = os.path.join(self.folder, "deep", "mail")

    def box(self):
        new = os.path.join(self.maildir, "new")
        return sorted(os.listdir(new)) if os.path.isdir(new) else []

    def test_without_smtp_settings_mails_go_to_a_mailbox(self):
        worker = self.worker(MAILDIR=self.maildir)
        message = self.reminder(title="Grüße", user_id=self.add_user(None))
        self.assertEqual(deliver(worker, message), 200)
        self.assertEqual(self.box(), [message["id"]])
        self.assertEqual(os.listdir(os.path.join(self.maildir, "tmp")), [])
        box = mailbox.Maildir(self.maildir, create=False)
        self.assertEqual(len(box), 1)
        with open(os.path.join(self.maildir, "new", message["id"]), "rb") as f:
            self.assertIn(b"Auto-Submitted: auto-generated", f.read())
            self.assertEqual(os.fstat(f.fileno()).st_mode & 0o777, 0o600)
        for folder in ("", "tmp", "new", "cur"):
            self.assertEqual(os.stat(os.path.join(self.maildir, folder)).st_mode & 0o777, 0o700)
        self.postgres.query("delete from todo.inbox; delete from todo.state")
        self.assertEqual(deliver(worker, message), 200)
        self.assertEqual(self.box(), [message["id"]])
        worker.end()

    def test_the_default_mailbox_is_in_the_data_directory(self):
        worker = self.worker(DATA_DIR=self.folder)
        message = self.reminder(title="x")
        self.assertEqual(deliver(worker, message), 200)
        self.assertEqual(os.listdir(os.path.join(self.folder, "mail", "new")), [message["id"]])
        worker.end()

    def test_a_mailbox_that_cannot_be_written_is_tried_again(self):
        worker = self.worker(MAILDIR=self.maildir)
        new = os.path.join(self.maildir, "new")
        os.rename(new, new + ".away")
        message = self.reminder(title="x")
        self.assertEqual(deliver(worker, message), 503)
        os.rename(new + ".away", new)
        deliver_until_done(worker, message)
        self.assertEqual(self.box(), [message["id"]])
        worker.end()

    def desktop(self, script):
        """A session with a notify-send of our own, which shows what it is given."""
        program = os.path.join(self.folder, "notify-send")
        with open(program, "w", encoding="utf-8") as f:
            f.write(script)
        os.chmod(program, 0o755)
        return self.worker(MAILDIR=self.maildir, DBUS_SESSION_BUS_ADDRESS="unix:path=/nowhere",
                           PATH=f"{self.folder}:{os.environ['PATH']}")

    def test_the_desktop_shows_a_reminder_once(self):
        shown = os.path.join(self.folder, "shown")
        worker = self.desktop(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >>{shown}.new\n"
                              f"mv {shown}.new {shown}\n")
        title = "--help $(touch x); `y`\n<b>"
        message = self.reminder(title=title, due_date="2026-07-01T10:00:00Z")
        for _ in range(2):
            self.assertEqual(deliver(worker, message), 200)
        wait_for(lambda: os.path.exists(shown), 20, "the notification")
        with open(shown, encoding="utf-8") as f:
            self.assertEqual(f.read().splitlines(), [
                "--app-name=Todo", "--icon=alarm", "--", "--help $(touch x); `y` <b>",
                "Due: Wednesday, 1 July 2026, 12:00 (Europe/Berlin)"])
        worker.end()

    def test_a_desktop_that_fails_is_told_once_and_hinders_nothing(self):
        worker = self.desktop("#!/bin/sh\nexit 1\n")
        for _ in range(3):
            self.assertEqual(deliver(worker, self.reminder(title="x")), 200)
        wait_for(lambda: "notify-send failed" in worker.log_tail(1 << 20), 20, "the line")
        worker.end()
        self.assertEqual(len(self.box()), 3)
        self.assertEqual(worker.log_tail(1 << 20).count("notify-send failed"), 1)


class Settings(Case):
    def refused(self, **settings):
        worker = Worker("todo-email", {"DATABASE_URL": self.postgres.url, **settings})
        self.addCleanup(worker.close)
        worker.start(wait=False)
        self.assertEqual(worker.process.wait(60), 2)
        return worker.log_tail()

    def test_settings_that_will_not_do_are_named(self):
        self.assertIn("SMTP_FROM", self.refused(SMTP_FROM="nobody"))
        self.assertIn("TASK_URL_TEMPLATE", self.refused(TASK_URL_TEMPLATE="javascript:{task_id}"))
        said = self.refused(SMTP_URL="smtp://todo:sec/ret@mail.example.org:587")
        self.assertIn("SMTP_URL", said)
        self.assertNotIn("sec", said.replace("postgresql", ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
