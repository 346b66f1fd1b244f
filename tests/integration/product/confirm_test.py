"""The deletion of a label that many tasks have: the person is asked where the client can, and what
the person says holds."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
from peers import connect  # noqa: E402
from todo_server import MODERN, Postgres, Server, ToolError  # noqa: E402

WAYS = [("http", MODERN), ("http", "2025-11-25"), ("stdio", MODERN), ("stdio", "2025-06-18")]
MANY = 10
YES = {"action": "accept", "content": {"confirm": True}}
NO = [{"action": "decline"}, {"action": "cancel"},
      {"action": "accept", "content": {"confirm": False}}]


class ConfirmTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.server = Server(cls.postgres.url)
        cls.count = 0

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.postgres.close()

    def peer(self, way, answer):
        return self.enterContext(connect(self.server, *way, answer=answer))

    def label(self, kind, tasks):
        """The id of a new one that so many tasks have."""
        ConfirmTest.count += 1
        with connect(self.server) as peer:
            label = peer.call(f"create_{kind}", name=f"{kind} {self.count}")["id"]
            given = {"category_id": label} if kind == "category" else {"tag_ids": [label]}
            for i in range(tasks):
                peer.call("add_task", title=str(i), **given)
        return label

    def labels(self, kind):
        with connect(self.server) as peer:
            tool, member = {"category": ("list_categories", "categories"),
                            "tag": ("list_tags", "tags")}[kind]
            return {entry["id"]: entry["task_count"] for entry in peer.call(tool)[member]}

    def test_a_yes_deletes_after_one_question(self):
        for way in WAYS:
            for kind in ("category", "tag"):
                with self.subTest(way=way, kind=kind):
                    label = self.label(kind, MANY)
                    peer = self.peer(way, lambda params: YES)
                    answer = peer.call(f"delete_{kind}", **{f"{kind}_id": label})
                    self.assertEqual(answer, {"deleted": True, "tasks_affected": MANY})
                    self.assertEqual(len(peer.asked), 1)
                    self.assertIn(f"{MANY} tasks", peer.asked[0]["message"])
                    self.assertEqual(peer.asked[0]["requestedSchema"]["required"], ["confirm"])
                    self.assertNotIn(label, self.labels(kind))

    def test_a_no_changes_nothing_and_says_so(self):
        for way in WAYS:
            label = self.label("tag", MANY)
            for answer in NO:
                with self.subTest(way=way, answer=answer):
                    peer = self.peer(way, lambda params, answer=answer: answer)
                    with self.assertRaisesRegex(ToolError, "nothing was changed") as raised:
                        peer.call("delete_tag", tag_id=label)
                    self.assertEqual((raised.exception.body["code"],
                                      raised.exception.body["retryable"]), ("forbidden", False))
                    self.assertEqual(len(peer.asked), 1)
            self.assertEqual(self.labels("tag")[label], MANY)

    def test_few_tasks_are_not_worth_a_question(self):
        for way in WAYS:
            label = self.label("category", MANY - 1)
            peer = self.peer(way, lambda params: NO[0])
            answer = peer.call("delete_category", category_id=label)
            self.assertEqual(answer["tasks_affected"], MANY - 1)
            self.assertEqual(peer.asked, [])

    def test_who_cannot_be_asked_is_not(self):
        for way in [*WAYS, ("http", "2025-03-26"), ("stdio", "2025-03-26")]:
            with self.subTest(way=way):
                label = self.label("tag", MANY)
                self.peer(way, None).request("tools/call", {
                    "name": "delete_tag", "arguments": {"tag_id": label}})
                self.assertNotIn(label, self.labels("tag"))

    def test_one_task_is_deleted_without_a_question(self):
        peer = self.peer(WAYS[0], lambda params: NO[0])
        task = peer.call("add_task", title="x")["id"]
        peer.call("delete_task", task_id=task)
        self.assertEqual(peer.asked, [])

    def test_what_is_not_there_is_told_without_a_question(self):
        peer = self.peer(WAYS[0], lambda params: YES)
        with self.assertRaises(ToolError) as raised:
            peer.call("delete_category", category_id=999999)
        self.assertEqual(raised.exception.body["code"], "not_found")
        self.assertEqual(peer.asked, [])


if __name__ == "__main__":
    unittest.main()
