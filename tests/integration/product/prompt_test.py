"""Prompts and completion, in every revision over both transports."""

import datetime
import os
import re
import sys
import unittest
import zoneinfo

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
from peers import RpcError, connect  # noqa: E402
from todo_server import MODERN, Postgres, Server  # noqa: E402

WAYS = [("http", MODERN), ("http", "2025-11-25"), ("http", "2025-03-26"),
        ("stdio", MODERN), ("stdio", "2025-06-18")]
ARGUMENTS = {"plan_day": ["date", "focus", "category"],
             "weekly_review": ["week_of", "status", "category"],
             "triage_overdue": ["priority", "category", "tag"]}
ZONE = "Asia/Tokyo"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")


class PromptTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.server = Server(cls.postgres.url, env={"TODO_TIMEZONE": ZONE})
        with connect(cls.server) as peer:
            cls.tools = peer.tools()
            cls.category = {name: peer.call("create_category", name=name)["id"]
                            for name in ("Home", "house", "Work")}
            cls.tag = {name: peer.call("create_tag", name=name)["id"]
                       for name in ("errand", "Email", "phone")}

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.postgres.close()

    def peer(self, transport="http", revision=MODERN):
        return self.enterContext(connect(self.server, transport, revision))

    def text(self, name, **arguments):
        messages = self.peer().prompt(name, **arguments)
        self.assertEqual([role for role, _ in messages], ["user"])
        return messages[0][1]

    def test_all_are_listed_with_their_arguments(self):
        for way in WAYS:
            prompts = self.peer(*way).request("prompts/list")["prompts"]
            self.assertEqual({p["name"]: [a["name"] for a in p["arguments"]] for p in prompts},
                             ARGUMENTS)

    def test_each_is_got_in_every_revision(self):
        for way in WAYS:
            peer = self.peer(*way)
            for name in ARGUMENTS:
                [(role, text)] = peer.prompt(name)
                self.assertEqual(role, "user")
                self.assertIn("list_tasks", text)

    def test_they_name_no_tool_that_is_not_there(self):
        words = set()
        for name in ARGUMENTS:
            words |= set(re.findall(r"\b(?:\w+_tasks?|list_\w+|set_\w+)\b",
                                    self.text(name, category="none")))
        self.assertLessEqual(words, self.tools)
        self.assertLessEqual({"list_tasks", "update_task", "complete_task", "list_categories"},
                             words)

    def test_the_times_in_them_are_what_list_tasks_takes(self):
        peer = self.peer()
        for name in ARGUMENTS:
            for time in TIME.findall(self.text(name)):
                peer.call("list_tasks", due_before=time, sort_by="due_date", include_total=True)

    def test_a_day_is_the_users(self):
        today = datetime.datetime.now(zoneinfo.ZoneInfo(ZONE))
        self.assertIn(f"{today:%A, %Y-%m-%d} (today; time zone {ZONE})", self.text("plan_day"))
        text = self.text("plan_day", date="2026-12-01")
        self.assertIn(f"Tuesday, 2026-12-01 (time zone {ZONE})", text)
        self.assertIn("due_before 2026-12-01T15:00:00Z", text)  # the midnight after it

    def test_a_week_begins_on_monday(self):
        text = self.text("weekly_review", week_of="2026-12-06")
        self.assertIn("from 2026-11-29T15:00:00Z to 2026-12-06T15:00:00Z", text)
        self.assertIn("due_after 2026-12-06T14:59:59.999999Z", text)

    def test_a_review_looks_where_it_is_told_to(self):
        back, ahead = (self.text("weekly_review", status=s) for s in ("completed", "pending"))
        self.assertTrue("status completed" in back and "status pending" not in back)
        self.assertTrue("status pending" in ahead and "status completed" not in ahead)

    def test_names_are_looked_up(self):
        text = self.text("triage_overdue", category="Work", tag="errand", priority="high")
        self.assertIn(f"category_id {self.category['Work']}, tag_ids [{self.tag['errand']}], "
                      "priority high", text)
        text = self.text("triage_overdue", category="work", tag="errands")
        self.assertRegex(text, 'no category named "work".*list_categories')
        self.assertRegex(text, 'no tag named "errands".*list_tags')
        self.assertNotIn("category_id", text)

    def test_a_focus_stands_in_the_text(self):
        self.assertIn('the "report" \n first', self.text("plan_day", focus='the "report" \n first'))

    def test_a_wrong_argument_is_refused(self):
        for name, arguments in (("plan_day", {"date": "2026-02-30"}), ("plan_day", {"date": "x"}),
                                ("plan_day", {"date": "2026-12-01T00:00:00Z"}),
                                ("weekly_review", {"week_of": "tomorrow"}),
                                ("weekly_review", {"status": "open"}),
                                ("triage_overdue", {"priority": "HIGH"})):
            with self.subTest(arguments=arguments), self.assertRaises(RpcError) as raised:
                self.text(name, **arguments)
            self.assertEqual(raised.exception.code, -32602)
        self.assertIn("today", self.text("plan_day", date="", category=""))

    def test_arguments_are_completed(self):
        for way in WAYS:
            peer = self.peer(*way)
            complete = peer.complete
            with self.subTest(way=way):
                self.assertEqual(complete("plan_day", "category"), ["Home", "Work", "house"])
                self.assertEqual(complete("plan_day", "category", "HO"), ["Home", "house"])
                self.assertEqual(complete("triage_overdue", "tag", "e"), ["Email", "errand"])
                self.assertEqual(complete("triage_overdue", "tag", "none"), [])
                self.assertEqual(complete("triage_overdue", "priority"),
                                 ["low", "medium", "high", "urgent"])
                self.assertEqual(complete("triage_overdue", "priority", "U"), ["urgent"])
                self.assertEqual(complete("weekly_review", "status", "p"), ["pending"])
                self.assertEqual(complete("plan_day", "focus", "x"), [])

    def test_a_category_s_uri_is_completed_by_name_or_number(self):
        peer = self.peer()
        ids = {str(self.category[name]) for name in ("Home", "house")}
        self.assertEqual(set(peer.complete("category://{id}", "id", "ho")), ids)
        first = str(self.category["Work"])
        self.assertIn(first, peer.complete("category://{id}", "id", first))
        self.assertEqual(len(peer.complete("category://{id}", "id")), 3)
        self.assertEqual(peer.complete("task://{id}", "id", "1"), [])


if __name__ == "__main__":
    unittest.main()
