"""Resources: each is read in every revision over both transports, and shows its user's tasks."""

import datetime
import os
import sys
import unittest
import zoneinfo

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
from peers import RpcError, connect  # noqa: E402
from todo_server import MODERN, Postgres, Server  # noqa: E402

WAYS = [("http", MODERN), ("http", "2025-11-25"), ("http", "2025-03-26"),
        ("stdio", MODERN), ("stdio", "2025-06-18")]
LISTS = {"tasks://today", "tasks://overdue", "tasks://upcoming"}
TEMPLATES = {"task://{id}", "category://{id}"}
ZONE = "Asia/Tokyo"  # has no summer time: a day is 24 hours
SHOWN = 50


class ResourceTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)

    @classmethod
    def tearDownClass(cls):
        cls.postgres.close()

    def setUp(self):
        self.server = Server(self.postgres.url, env={"TODO_USER": self.id(),
                                                     "TODO_TIMEZONE": ZONE})
        self.addCleanup(self.server.stop)

    def peer(self, transport="http", revision=MODERN):
        return self.enterContext(connect(self.server, transport, revision))

    def day(self, days):
        """Noon, so many days after the user's today."""
        today = datetime.datetime.now(zoneinfo.ZoneInfo(ZONE)).replace(
            hour=12, minute=0, second=0, microsecond=0)
        return today + datetime.timedelta(days=days)

    def test_all_are_listed(self):
        for way in WAYS:
            peer = self.peer(*way)
            resources = peer.request("resources/list")["resources"]
            templates = peer.request("resources/templates/list")["resourceTemplates"]
            self.assertEqual({r["uri"] for r in resources}, LISTS)
            self.assertEqual({t["uriTemplate"] for t in templates}, TEMPLATES)
            for entry in resources + templates:
                self.assertEqual(entry["mimeType"], "application/json")
                self.assertTrue(entry["description"])

    def test_a_task_reads_as_get_task_answers_it(self):
        peer = self.peer()
        task = peer.call("add_task", title="x", description="d" * 1000,
                         due_date="2031-03-01T09:30:00+01:00")
        for way in WAYS:
            with self.subTest(way=way):
                self.assertEqual(self.peer(*way).read(f"task://{task['id']}"), task)
        self.assertEqual(peer.call("get_task", task_id=task["id"]), task)

    def test_a_category_has_its_pending_tasks(self):
        peer = self.peer()
        label = peer.call("create_category", name="home", color="#00ff00")
        ids = [peer.call("add_task", title=f"t{i}", category_id=label["id"])["id"]
               for i in range(3)]
        peer.call("complete_task", task_id=ids[1])
        for way in WAYS:
            category = self.peer(*way).read(f"category://{label['id']}")
            self.assertEqual({k: category[k] for k in ("name", "color", "task_count", "pending",
                                                       "shown")},
                             {"name": "home", "color": "#00ff00", "task_count": 3, "pending": 2,
                              "shown": 2})
            self.assertEqual([t["id"] for t in category["tasks"]], [ids[2], ids[0]])

    def test_lists_go_by_the_users_days(self):
        peer = self.peer()
        for days in (-2, -1, 0, 1, 7, 8):
            peer.call("add_task", title=str(days), due_date=self.day(days).isoformat())
        peer.call("add_task", title="undated")
        done = peer.call("add_task", title="done", due_date=self.day(-1).isoformat())
        peer.call("complete_task", task_id=done["id"])
        for way in WAYS:
            reader = self.peer(*way)
            today = reader.read("tasks://today")
            self.assertEqual([t["title"] for t in today["tasks"]], ["0"])
            self.assertEqual(today["timezone"], ZONE)
            start = self.day(0).replace(hour=0)
            for key, time in (("from", start), ("until", start + datetime.timedelta(days=1))):
                self.assertEqual(datetime.datetime.fromisoformat(today[key]), time)
            upcoming = reader.read("tasks://upcoming")
            self.assertEqual([t["title"] for t in upcoming["tasks"]], ["1", "7"])
            overdue = [t["title"] for t in reader.read("tasks://overdue")["tasks"]]
            self.assertIn(overdue, (["-2", "-1"], ["-2", "-1", "0"]))  # before or after noon

    def test_a_list_is_bounded_and_says_how_many_there_are(self):
        peer = self.peer()
        for i in range(SHOWN + 2):
            peer.call("add_task", title=f"{i} " + "x" * 190, description="y" * 10000,
                      due_date="2020-01-01T00:00:00Z")
        contents = peer.request("resources/read", {"uri": "tasks://overdue"})["contents"]
        self.assertLess(len(contents[0]["text"]), 40_000)
        overdue = peer.read("tasks://overdue")
        self.assertEqual((overdue["total"], overdue["shown"], len(overdue["tasks"])),
                         (SHOWN + 2, SHOWN, SHOWN))
        self.assertTrue(all(t["truncated"] for t in overdue["tasks"]))

    def test_what_is_not_there_is_not_found(self):
        peer = self.peer()
        task = peer.call("add_task", title="x")["id"]
        label = peer.call("create_category", name="home")["id"]
        wrong = [f"task://{task + 1}", f"task://0{task}", "task://x", "task://-1", "task://1.0",
                 "task://99999999999999999999", "task://9007199254740993",
                 f"category://{label + 1}", "category://home", "tasks://tomorrow"]
        for revision, code in ((MODERN, -32602), ("2025-11-25", -32002)):
            reader = self.peer("http", revision)
            for uri in wrong:
                with self.subTest(uri=uri), self.assertRaises(RpcError) as raised:
                    reader.read(uri)
                self.assertEqual((raised.exception.code, raised.exception.data),
                                 (code, {"uri": uri}))

    def test_another_users_resources_are_not_found(self):
        peer = self.peer()
        task = peer.call("add_task", title="mine", due_date="2020-01-01T00:00:00Z")["id"]
        label = peer.call("create_category", name="mine")["id"]
        other = Server(self.postgres.url, env={"TODO_USER": self.id() + " other"})
        self.addCleanup(other.stop)
        with connect(other) as stranger:
            for uri in (f"task://{task}", f"category://{label}"):
                with self.assertRaises(RpcError) as raised:
                    stranger.read(uri)
                self.assertEqual(raised.exception.code, -32602)
            self.assertEqual(stranger.read("tasks://overdue")["total"], 0)


if __name__ == "__main__":
    unittest.main()
