"""Each change writes the events that the contract names, with data that the events' own table
(events/event.c) accepts: what SQL makes is what consumers are promised."""

import collections
import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "lib"))
from todo_server import Client, Postgres, Server  # noqa: E402

DUE = "2030-01-31T09:00:00+01:00"


class OutboxTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)
        cls.server = Server(cls.postgres.url)
        cls.addClassCleanup(cls.server.stop)
        cls.client = Client(cls.server.port)
        cls.addClassCleanup(cls.client.close)

    def events_of(self, change, *args, **arguments):
        """What `change` wrote into the outbox: [(type, topic, key, data)]."""
        before = int(self.postgres.value("select coalesce(max(seq), 0) from todo.outbox"))
        self.answer = change(*args, **arguments)
        rows = self.postgres.query(
            f"select type, topic, key, data from todo.outbox where seq > {before} order by seq")
        judged = subprocess.run([os.environ["TODO_EVENT_CHECK"]], text=True, check=False,
                                input="".join(f"{r[0]}\t{r[3]}\n" for r in rows),
                                stdout=subprocess.PIPE)
        self.assertEqual(judged.returncode, 0, judged.stdout)
        return [(r[0], r[1], r[2], json.loads(r[3])) for r in rows]

    def call(self, tool, **arguments):
        return self.events_of(self.client.call, tool, **arguments)

    def add(self, **arguments):
        events = self.call("add_task", **{"title": "t", **arguments})
        self.assertEqual([e[:2] for e in events], [("TaskCreatedEvent", "task-events")])
        self.assertEqual(events[0][2], str(self.answer["id"]))
        return self.answer["id"], events[0][3]

    def test_add_task_tells_all_of_the_task(self):
        category = self.client.call("create_category", name="c")["id"]
        tag = self.client.call("create_tag", name="t")["id"]
        _, plain = self.add()
        self.assertEqual((plain["priority"], plain["tag_ids"], plain["category_id"]),
                         ("medium", [], None))
        _, full = self.add(description="d", priority="urgent", category_id=category, tag_ids=[tag],
                           due_date=DUE, recurrence_rule="monthly", timezone="Europe/Paris")
        self.assertEqual((full["category_id"], full["tag_ids"], full["priority"]),
                         (category, [tag], "urgent"))
        self.assertTrue(full["due_date"].startswith("2030-01-31T08:00:00"), full)

    def test_update_task_tells_the_fields_that_changed(self):
        task, _ = self.add()
        events = self.call("update_task", task_id=task, title="new", priority="low")
        self.assertEqual([e[0] for e in events], ["TaskUpdatedEvent"])
        self.assertEqual(events[0][3]["updated_fields"], {"title": "new", "priority": "low"})
        self.assertEqual(events[0][3]["version"], self.answer["version"])
        self.assertEqual(self.call("update_task", task_id=task, title="new"), [])

    def test_update_that_completes_tells_both(self):
        task, _ = self.add()
        events = self.call("update_task", task_id=task, title="x", completed=True)
        self.assertEqual([e[:2] for e in events], [("TaskUpdatedEvent", "task-events"),
                                                  ("TaskCompletedEvent", "task-recurrence")])

    def test_complete_task_tells_once(self):
        task, _ = self.add(due_date=DUE, recurrence_rule="FREQ=WEEKLY")
        events = self.call("complete_task", task_id=task)
        self.assertEqual([e[:2] for e in events], [("TaskCompletedEvent", "task-recurrence")])
        self.assertEqual(events[0][3]["recurrence_rule"], "FREQ=WEEKLY")
        self.assertEqual(self.call("complete_task", task_id=task), [])

    def test_delete_task_tells(self):
        task, _ = self.add()
        self.assertEqual([e[:2] for e in self.call("delete_task", task_id=task)],
                         [("TaskDeletedEvent", "task-events")])

    def test_labels_and_reminders_are_updates_of_their_tasks(self):
        tag = self.client.call("create_tag", name="label")["id"]
        category = self.client.call("create_category", name="label")["id"]
        task, _ = self.add(due_date=DUE, category_id=category)
        for tool, arguments, count in (
                ("add_tag_to_task", {"task_id": task, "tag_id": tag}, 1),
                ("add_tag_to_task", {"task_id": task, "tag_id": tag}, 0),
                ("set_reminder", {"task_id": task, "remind_before_minutes": 5}, 1),
                ("delete_tag", {"tag_id": tag}, 1),
                ("delete_category", {"category_id": category}, 1),
                ("create_tag", {"name": "no event"}, 0)):
            with self.subTest(tool=tool, count=count):
                events = self.call(tool, **arguments)
                self.assertEqual(collections.Counter(e[0] for e in events),
                                 {"TaskUpdatedEvent": count} if count else {})


if __name__ == "__main__":
    unittest.main(verbosity=2)
