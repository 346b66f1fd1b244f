"""Live updates: who subscribed to a resource hears of each change, whichever process made it, and
through breaks of the connection that listens."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
from peers import connect  # noqa: E402
from todo_server import MODERN, Postgres, Server, wait_for  # noqa: E402

WAYS = [("http", MODERN), ("http", "2025-11-25"), ("stdio", MODERN), ("stdio", "2025-06-18")]
LISTS = ["tasks://today", "tasks://overdue", "tasks://upcoming"]
LISTENERS = "pg_stat_activity where application_name = 'todo-mcp-listen'"


class LiveTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)

    @classmethod
    def tearDownClass(cls):
        cls.postgres.close()

    def setUp(self):
        """Two processes of one user."""
        self.servers = [self.server(self.id()) for _ in range(2)]
        self.actor = self.enterContext(connect(self.servers[0]))

    def server(self, user):
        server = Server(self.postgres.url, env={"TODO_USER": user})
        self.addCleanup(server.stop)
        return server

    def subscriber(self, uris, server=1, way=WAYS[0]):
        """It has heard what there is to hear at its start: that listening has begun."""
        peer = self.enterContext(connect(self.servers[server], *way))
        peer.subscribe(uris)
        self.wait_listening()
        self.quiesce(peer, uris[0])
        return peer

    def wait_listening(self):
        wait_for(lambda: int(self.postgres.value(f"select count(*) from {LISTENERS}")) >= 2, 10,
                 "the listening connections")

    def quiesce(self, peer, uri):
        """Until a change has made its way, and no older one is under way behind it."""
        user = self.postgres.value("select id from todo.users where subject = '%s'" % self.id())
        peer.heard.clear()
        def is_heard():
            self.postgres.query(f"select pg_notify('todo_changes', '1 u{user} *')")
            time.sleep(0.05)
            return uri in peer.heard
        wait_for(is_heard, 10, "a first notification")
        seen = None
        while seen != len(peer.heard):  # two rounds without a word
            seen = len(peer.heard)
            time.sleep(0.25)
        peer.heard.clear()

    def test_each_way_to_subscribe_hears_the_other_process_and_its_own(self):
        task = self.actor.call("add_task", title="x")["id"]
        uris = [f"task://{task}", *LISTS]
        for way in WAYS:
            for server in (0, 1):
                with self.subTest(way=way, server=server):
                    peer = self.subscriber(uris, server, way)
                    began = time.monotonic()
                    self.actor.call("update_task", task_id=task, title=f"{way} {server}")
                    peer.wait_heard(*uris, seconds=5)
                    self.assertLess(time.monotonic() - began, 1)
                    self.assertEqual(sorted(peer.heard), sorted(uris))

    def test_every_tool_that_changes_a_task_tells_of_it(self):
        label = self.actor.call("create_category", name="c")["id"]
        tag = self.actor.call("create_tag", name="t")["id"]
        task = self.actor.call("add_task", title="x", category_id=label)["id"]
        uris = [f"task://{task}", f"category://{label}", *LISTS]
        peer = self.subscriber(uris)
        for tool, arguments in (
                ("update_task", {"priority": "high", "due_date": "2031-01-01T00:00:00Z"}),
                ("set_reminder", {"remind_before_minutes": 5}),
                ("add_tag_to_task", {"tag_id": tag}), ("remove_tag_from_task", {"tag_id": tag}),
                ("complete_task", {}), ("update_task", {"completed": False}),
                ("update_task", {"category_id": None}), ("update_task", {"category_id": label}),
                ("delete_task", {})):
            with self.subTest(tool=tool, arguments=arguments):
                peer.heard.clear()
                self.actor.call(tool, task_id=task, **arguments)
                peer.wait_heard(*uris)

    def test_a_new_task_tells_of_its_category_and_the_lists(self):
        label = self.actor.call("create_category", name="c")["id"]
        other = self.actor.call("create_category", name="other")["id"]
        uris = [f"category://{label}", *LISTS]
        peer = self.subscriber([*uris, f"category://{other}"])
        self.actor.call("add_task", title="x", category_id=label)
        peer.wait_heard(*uris)
        self.assertEqual(sorted(peer.heard), sorted(uris))

    def test_labels_tell_of_where_they_show(self):
        label = self.actor.call("create_category", name="c")["id"]
        tag = self.actor.call("create_tag", name="t")["id"]
        task = self.actor.call("add_task", title="x", category_id=label, tag_ids=[tag])["id"]
        uris = [f"task://{task}", f"category://{label}", *LISTS]
        peer = self.subscriber(uris)
        for tool, arguments in (("update_category", {"category_id": label, "name": "new"}),
                                ("update_tag", {"tag_id": tag, "color": "#000000"}),
                                ("delete_tag", {"tag_id": tag}),
                                ("delete_category", {"category_id": label})):
            with self.subTest(tool=tool):
                peer.heard.clear()
                self.actor.call(tool, **arguments)
                peer.wait_heard(*uris)

    def test_nothing_is_heard_of_what_did_not_change(self):
        task, other = (self.actor.call("add_task", title="x")["id"] for _ in range(2))
        peer = self.subscriber([f"task://{task}"])
        self.actor.call("update_task", task_id=task, title="x")  # as it was
        self.actor.call("update_task", task_id=other, title="y")
        self.actor.call("get_task", task_id=task)
        stranger = self.server(self.id() + " stranger")
        with connect(stranger) as someone:
            someone.call("add_task", title="x")
        self.actor.call("update_task", task_id=task, title="z")
        peer.wait_heard(f"task://{task}")
        self.assertEqual(len(peer.heard), 1)

    def test_another_users_subscription_hears_nothing(self):
        stranger = self.server(self.id() + " stranger")
        task = self.actor.call("add_task", title="x")["id"]
        uris = [f"task://{task}", *LISTS]
        mine = self.subscriber(uris)
        with connect(stranger) as someone:
            someone.subscribe(uris)
            someone.call("add_task", title="theirs")
            wait_for(lambda: "tasks://today" in someone.heard, 10, "their own")
            someone.heard.clear()
            mine.heard.clear()
            self.actor.call("update_task", task_id=task, title="y")
            mine.wait_heard(*uris)
            someone.call("add_task", title="theirs again")
            wait_for(lambda: "tasks://today" in someone.heard, 10, "their own")
            self.assertNotIn(f"task://{task}", someone.heard)
            self.assertNotIn("task://1", mine.heard)

    def test_many_changes_are_told_of_together(self):
        """At most one notification for each resource in 100 ms, and one for the last change."""
        task = self.actor.call("add_task", title="x")["id"]
        uri = f"task://{task}"
        for server in (0, 1):
            peer = self.subscriber([uri], server)
            began = time.monotonic()
            for i in range(60):
                self.actor.call("update_task", task_id=task, title=f"{server} {i}")
            rounds = (time.monotonic() - began) / 0.1
            last = self.actor.call("get_task", task_id=task)["version"]
            peer.wait_heard(uri)
            seen = None
            while seen != len(peer.heard):
                seen = len(peer.heard)
                time.sleep(0.25)
            self.assertEqual(peer.read(uri)["version"], last)
            self.assertLessEqual(len(peer.heard), rounds + 2)

    def test_after_a_break_all_subscriptions_are_told(self):
        """Something may have changed while nobody listened."""
        uris = ["task://4711", "tasks://today"]
        peers = [self.subscriber(uris, server, way) for server in (0, 1) for way in WAYS[:2]]
        for peer in peers:
            peer.heard.clear()
        self.postgres.query(f"select pg_terminate_backend(pid) from {LISTENERS}")
        for peer in peers:
            peer.wait_heard(*uris)
        self.wait_listening()
        for peer in peers:
            self.quiesce(peer, uris[0])
        self.actor.call("add_task", title="x")
        for peer in peers:
            peer.wait_heard("tasks://today")

    def test_a_restart_of_the_database_is_got_over(self):
        peer = self.subscriber(["tasks://today"])
        self.postgres.stop()
        self.postgres.start()
        peer.wait_heard("tasks://today", seconds=30)
        wait_for(lambda: self.try_add(), 30, "a write")
        self.wait_listening()
        self.quiesce(peer, "tasks://today")
        self.actor.call("add_task", title="x")
        peer.wait_heard("tasks://today")

    def try_add(self):
        try:
            return self.actor.call("add_task", title="x")
        except Exception:  # pylint: disable=broad-except
            return None

    def test_a_process_that_stops_tells_what_it_has_changed(self):
        leaving = Server(self.postgres.url, env={"TODO_USER": self.id()})
        peer = self.subscriber(["tasks://today"])
        with connect(leaving) as someone:
            someone.call("add_task", title="x")
            someone.call("add_task", title="y")
            leaving.stop()
        peer.wait_heard("tasks://today")

    def test_a_message_that_is_no_message_of_ours_does_no_harm(self):
        peer = self.subscriber(["tasks://today"])
        self.postgres.query("notify todo_changes, 'from a version to come'")
        peer.wait_heard("tasks://today")
        peer.heard.clear()
        self.postgres.query("notify todo_changes")
        peer.wait_heard("tasks://today")


if __name__ == "__main__":
    unittest.main()
