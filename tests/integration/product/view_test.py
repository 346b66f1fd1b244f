"""Toolsets, single tools and reading only: what an agent sees of the tools, by the settings and by
the headers of its requests."""

import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
from peers import RpcError, connect  # noqa: E402
from todo_server import MODERN, Postgres, Server, server_binary  # noqa: E402

TASKS = {"add_task", "list_tasks", "get_task", "update_task", "complete_task", "delete_task"}
CATEGORIES = {"create_category", "list_categories", "update_category", "delete_category"}
TAGS = {"create_tag", "list_tags", "update_tag", "delete_tag", "add_tag_to_task",
        "remove_tag_from_task"}
SEARCH, REMINDERS = {"search_tasks"}, {"set_reminder"}
ALL = TASKS | CATEGORIES | TAGS | SEARCH | REMINDERS
READING = {"list_tasks", "get_task", "search_tasks", "list_categories", "list_tags"}
WAYS = [("http", MODERN), ("http", "2025-11-25"), ("stdio", MODERN), ("stdio", "2025-06-18")]
# settings -> the tools that are there
SETTINGS = [
    ({}, ALL),
    ({"TOOLSETS": "tasks, search"}, TASKS | SEARCH),
    ({"TOOLSETS": "tags", "TOOLS": "get_task"}, TAGS | {"get_task"}),
    ({"TOOLS": "add_task,list_tasks"}, {"add_task", "list_tasks"}),
    ({"READ_ONLY": "true"}, READING),
    ({"READ_ONLY": "yes", "TOOLSETS": "categories", "TOOLS": "delete_task,get_task"},
     {"list_categories", "get_task"}),
]
# headers -> the tools that are there, of a server with TOOLSETS=tasks,search,tags
HEADERS = [
    ({}, TASKS | SEARCH | TAGS),
    ({"X-MCP-Toolsets": "tasks"}, TASKS),
    ({"X-MCP-Toolsets": "all"}, TASKS | SEARCH | TAGS),
    ({"X-MCP-Toolsets": "categories,search"}, SEARCH),
    ({"X-MCP-Toolsets": "reminders"}, set()),
    ({"X-MCP-Tools": "get_task,set_reminder"}, {"get_task"}),
    ({"X-MCP-Toolsets": "search", "X-MCP-Tools": "add_task"}, SEARCH | {"add_task"}),
    ({"X-MCP-Readonly": "true"}, READING - CATEGORIES),
    ({"X-MCP-Readonly": "false"}, TASKS | SEARCH | TAGS),
    ({"X-MCP-Readonly": "True", "X-MCP-Tools": "add_task,get_task"}, {"get_task"}),
    ({"x-mcp-toolsets": ""}, TASKS | SEARCH | TAGS),
]
REFUSED = [
    ({"X-MCP-Toolsets": "tasks,tusks"}, "tusks"),
    ({"X-MCP-Tools": "drop_tables"}, "drop_tables"),
    ({"X-MCP-Readonly": "maybe"}, "X-MCP-Readonly"),
]


class ViewTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)

    @classmethod
    def tearDownClass(cls):
        cls.postgres.close()

    def server(self, **env):
        server = Server(self.postgres.url, env=env)
        self.addCleanup(server.stop)
        return server

    def test_settings_decide_which_tools_there_are(self):
        for settings, expected in SETTINGS:
            server = self.server(**settings)
            for transport, revision in WAYS:
                with self.subTest(settings=settings, transport=transport, revision=revision), \
                        connect(server, transport, revision) as peer:
                    self.assertEqual(peer.tools(), expected)

    def test_headers_narrow_and_never_widen(self):
        server = self.server(TOOLSETS="tasks,search,tags")
        for headers, expected in HEADERS:
            for revision in (MODERN, "2025-11-25"):
                with self.subTest(headers=headers, revision=revision), \
                        connect(server, "http", revision, headers=headers) as peer:
                    self.assertEqual(peer.tools(), expected)

    def test_read_only_in_the_settings_wins_over_headers(self):
        server = self.server(READ_ONLY="true")
        headers = {"X-MCP-Readonly": "false", "X-MCP-Tools": "add_task,get_task"}
        with connect(server, headers=headers) as peer:
            self.assertEqual(peer.tools(), {"get_task"})

    def test_a_tool_that_is_not_shown_is_unknown_and_does_nothing(self):
        server = self.server()
        for revision in (MODERN, "2025-11-25"):
            with connect(server, "http", revision, headers={"X-MCP-Readonly": "true"}) as peer:
                with self.assertRaisesRegex(RpcError, "unknown tool") as raised:
                    peer.call("add_task", title="x")
                self.assertEqual(raised.exception.code, -32602)
                self.assertEqual(peer.call("list_tasks")["tasks"], [])

    def test_a_session_s_requests_are_judged_one_by_one(self):
        server = self.server()
        with connect(server, "http", "2025-11-25") as peer:
            self.assertEqual(peer.tools(), ALL)
            peer.headers = {"X-MCP-Toolsets": "search"}
            self.assertEqual(peer.tools(), SEARCH)
            peer.headers = {}
            self.assertEqual(peer.tools(), ALL)

    def test_an_unknown_name_in_a_header_is_refused(self):
        server = self.server()
        for headers, named in REFUSED:
            with self.subTest(headers=headers), connect(server, headers=headers) as peer:
                response = peer.post(peer.main, peer.message("tools/list", {}))
                body = json.loads(response.read())
                self.assertEqual(response.status, 400)
                self.assertIn(named, body["error"]["message"])

    def test_a_header_that_comes_twice_is_refused(self):
        server = self.server()
        with connect(server) as peer:
            message = peer.message("tools/list", {})
            body = json.dumps(message)
            peer.main.putrequest("POST", "/mcp")
            for name, value in {**peer.all_headers(message), "Content-Length": len(body)}.items():
                peer.main.putheader(name, value)
            peer.main.putheader("X-MCP-Readonly", "true")
            peer.main.putheader("X-MCP-Readonly", "false")
            peer.main.endheaders(body.encode())
            self.assertEqual(peer.main.getresponse().status, 400)

    def test_an_unknown_name_in_a_setting_stops_the_start(self):
        for arguments, named in ((["--toolsets", "tasks,tusks"], 'TOOLSETS: .*"tusks"'),
                                 (["--tools=drop_tables"], 'TOOLS: .*"drop_tables"'),
                                 (["--read-only=maybe"], "READ_ONLY")):
            with self.subTest(arguments=arguments):
                done = subprocess.run([server_binary(), *arguments], stderr=subprocess.PIPE,
                                      stdin=subprocess.DEVNULL, text=True, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertRegex(done.stderr, named)


if __name__ == "__main__":
    unittest.main()
