#!/usr/bin/env python3
"""todo-mcp outbox and todo-mcp dlq, as an operator uses them.

TODO_MCP names the program."""

import contextlib
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import todo_server  # noqa: E402

EVENT = {"specversion": "1.0", "id": "01900000-0000-7000-8000-00000000000a",
         "source": "/todo/notification-service", "type": "ReminderSentEvent", "subject": "task/7",
         "time": "2026-11-24T10:00:00Z", "datacontenttype": "application/json",
         "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
         "partitionkey": "7",
         "data": {"event_id": "01900000-0000-7000-8000-00000000000a",
                  "event_type": "reminder.sent", "timestamp": "2026-11-24T10:00:00Z", "user_id": 1,
                  "schema_version": "1.0", "task_id": 7, "reminder_time": "2026-11-24T10:00:00Z",
                  "title": "milk", "due_date": None, "priority": "low"}}


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = todo_server.Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)
        cls.run_program("migrate")

    def setUp(self):
        self.postgres.query("truncate todo.outbox, todo.dead_letters, todo.relay")

    @classmethod
    def run_program(cls, *args, code=0):
        done = subprocess.run([todo_server.server_binary(), *args], capture_output=True, text=True,
                              env={**os.environ, "DATABASE_URL": cls.postgres.url}, check=False)
        if done.returncode != code:
            raise AssertionError(f"{args} ended with {done.returncode}: {done.stderr}")
        return done.stdout if code == 0 else done.stderr or done.stdout

    def json(self, *args, code=0):
        return json.loads(self.run_program(*args, "--json", code=code))

    def insert(self, count, hours=0, extra="published_at", value="now()"):
        self.postgres.query(f"""
            insert into todo.outbox (id, key, topic, type, data, created_at, {extra})
            select (lpad(to_hex((extract(epoch from t) * 1000)::bigint), 12, '0') || '7'
                    || substr(gen_random_uuid()::text, 16))::uuid,
                   n::text, 'task-events', 'TaskUpdatedEvent', '{{}}', t, {value}
            from (select n, now() - make_interval(hours => {hours}) as t
                  from generate_series(1, {count}) n) x""")

    def letter(self, event, event_id="null"):
        text = json.dumps(event) if not isinstance(event, str) else event
        return self.postgres.value(f"""
            insert into todo.dead_letters (consumer, event_id, key, topic, reason, attempts, event)
            values ('email', {event_id}, '7', 'task-reminders', 'no such user', 4,
                    convert_to($event${text}$event$, 'UTF8')) returning id""")

    def test_status_counts_what_waits_and_what_is_parked(self):
        self.insert(3, extra="attempts", value="0")
        self.insert(2, extra="dead_reason", value="'too large'")
        self.letter(EVENT)
        status = self.json("outbox", "status")
        topics = {topic["topic"]: topic for topic in status["topics"]}
        self.assertEqual(set(topics), {"task-events", "task-recurrence", "task-reminders",
                                       "task-events-dlq"})
        self.assertEqual((topics["task-events"]["unpublished"], topics["task-events"]["parked"]),
                         (3, 2))
        self.assertEqual(topics["task-events-dlq"]["unpublished"], 1)
        self.assertIsNone(topics["task-recurrence"]["oldest"])
        self.assertFalse(status["has_leader"])
        self.assertIsNone(status["broker"])
        text = self.run_program("outbox", "status")
        self.assertIn("a relay leads: no; last broker: none", text)
        self.assertRegex(text, r"task-events +3 +2  20\d\d-")

    def test_a_running_relay_shows_in_the_status(self):
        server = todo_server.Server(self.postgres.url, {"TODO_USER": "someone"})
        self.addCleanup(server.stop)
        todo_server.wait_for(lambda: self.json("outbox", "status")["broker"] == "direct")
        self.assertTrue(self.json("outbox", "status")["has_leader"])

    def test_replay_since_a_time_takes_what_was_published_after_it(self):
        self.insert(5, hours=10)
        self.insert(2500, hours=1)
        since = self.postgres.value("select to_char((now() - interval '2 hours') at time zone"
                                    " 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        self.assertEqual(self.json("outbox", "replay", "--since", since), {"replayed": 2500})
        self.assertEqual(self.postgres.value(
            "select count(*) from todo.outbox where published_at is null"), "2500")

    def test_parked_events_are_listed_and_replayed(self):
        self.insert(4, extra="dead_reason", value="'too large'")
        parked = self.json("outbox", "parked")["parked"]
        self.assertEqual([row["reason"] for row in parked], ["too large"] * 4)
        self.assertEqual(len(self.json("outbox", "parked", "--limit", "3")["parked"]), 3)
        self.assertIn("too large", self.run_program("outbox", "parked"))
        self.assertEqual(self.json("outbox", "replay", parked[0]["id"]), {"replayed": 1})
        self.assertIn("no parked event", self.run_program("outbox", "replay", parked[0]["id"],
                                                          code=2))
        self.assertIn("3 events are published again", self.run_program("outbox", "replay",
                                                                       "--parked"))
        self.assertEqual(self.json("outbox", "parked"), {"parked": []})

    def test_purge_deletes_only_what_was_published_long_ago(self):
        self.insert(3000, hours=50, value="now() - interval '49 hours'")
        self.insert(5, hours=50)
        self.insert(7, hours=50, extra="dead_reason", value="'no'")
        self.assertEqual(self.json("outbox", "purge"), {"purged": 3000})
        self.assertEqual(self.json("outbox", "purge", "--older-than", "0"), {"purged": 5})
        self.assertEqual(self.postgres.value("select count(*) from todo.outbox"), "7")

    def test_dead_letters_are_listed(self):
        self.letter(EVENT, "'01900000-0000-7000-8000-00000000000a'")
        self.letter("{broken")
        letters = self.json("dlq", "list")["dead_letters"]
        self.assertEqual(letters[0]["event"], EVENT)
        self.assertEqual(letters[0]["reason"], "no such user")
        self.assertEqual(letters[1]["event_base64"], "e2Jyb2tlbg")
        self.assertIsNone(letters[1]["event_id"])
        self.assertEqual(self.run_program("dlq", "list").count("no such user"), 2)

    def test_a_dead_letter_is_replayed_from_its_bytes(self):
        event_id = EVENT["id"]
        letter = self.letter(EVENT, f"'{event_id}'")
        answer = self.json("dlq", "replay", letter)
        self.assertEqual(answer["dead_letters"], [{"id": letter, "outcome": "replayed"}])
        row = self.postgres.query("select id, key, topic, type, source, traceparent, data ->> "
                                  "'title', published_at is null from todo.outbox")
        self.assertEqual(row, [[event_id, "7", "task-reminders", "ReminderSentEvent",
                                "notification-service", EVENT["traceparent"], "milk", "t"]])
        again = self.json("dlq", "replay", letter)
        self.assertEqual(again["dead_letters"][0]["outcome"], "replayed_before")
        self.assertEqual(self.json("dlq", "list")["dead_letters"], [])
        self.assertEqual(len(self.json("dlq", "list", "--all")["dead_letters"]), 1)

    def test_what_is_no_event_cannot_be_replayed(self):
        letter = self.letter("{broken")
        answer = self.json("dlq", "replay", letter, code=1)
        self.assertEqual(answer["dead_letters"], [{"id": letter, "outcome": "no_event"}])
        self.assertEqual(self.postgres.value("select count(*) from todo.dead_letters where"
                                             " replayed_at is null"), "1")
        missing = "01900000-0000-7000-8000-00000000ffff"
        self.assertEqual(self.json("dlq", "replay", missing, code=1)["dead_letters"][0]["outcome"],
                         "not_found")

    def test_all_dead_letters_are_replayed(self):
        for n in range(45):
            number = f"01900000-0000-7000-8000-{n:012d}"
            data = {**EVENT["data"], "event_id": number}
            self.letter({**EVENT, "id": number, "data": data}, f"'{number}'")
        self.letter("{broken")
        text = self.run_program("dlq", "replay", "--all", code=1)
        self.assertIn("45 replayed, 1 not", text)
        self.assertEqual(self.postgres.value("select count(*) from todo.outbox"), "45")

    def test_help_and_mistakes(self):
        for words in (("outbox", "--help"), ("outbox",), ("dlq", "--help"), ("relay", "--help"),
                      ("outbox", "replay", "--help")):
            self.assertIn("usage: todo-mcp", self.run_program(*words))
        for words in (("outbox", "mend"), ("outbox", "replay"), ("dlq", "replay"), ("dlq", "mend"),
                      ("outbox", "replay", "--since", "yesterday"), ("dlq", "replay", "seven"),
                      ("outbox", "replay", "--parked", "--since", "2026-11-24T10:00:00Z"),
                      ("outbox", "status", "now"), ("dlq", "list", "--limit", "0")):
            self.run_program(*words, code=2)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        unittest.main(verbosity=2)
