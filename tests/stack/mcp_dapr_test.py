"""MCP through Dapr, both ways that k8s/dapr has: an unchanged client that calls its own sidecar, and
workflows of an MCPServer. In a network of its own, since sidecars find each other by multicast."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "clients")]
from stack import (App, Daprd, Placement, Scheduler, Sentry, free_port,  # noqa: E402
                   secret_store, take)
from stack.alone import alone  # noqa: E402
from stack.components import CLUSTER  # noqa: E402
from sessions import PythonSession, Target  # noqa: E402
from story import TOOLS, Story  # noqa: E402
from todo_server import (LEGACY, MODERN, Postgres, Server, server_binary,  # noqa: E402
                         wait_for)

OTLP = f"otel-collector.{CLUSTER}:4318"


class Invocation(unittest.TestCase):
    """/v1.0/invoke/backend/method/mcp, with mTLS and the access control of the Configuration."""

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="todo-mcp-dapr-"))
        cls.sentry = cls.enterClassContext(Sentry())
        cls.collector = cls.enterClassContext(App())
        cls.config = take(os.path.join(cls.folder, "config"), "config",
                          {OTLP: f"127.0.0.1:{cls.collector.port}"})
        cls.resources = os.path.join(cls.folder, "resources")
        take(cls.resources, "resiliency-agent")
        cls.port = free_port()
        cls.backend = cls.sidecar("backend", app_port=cls.port)
        cls.agent = cls.sidecar("agent")

    @classmethod
    def sidecar(cls, app_id, **more):
        return cls.enterClassContext(Daprd(app_id, cls.resources, config=cls.config,
                                           sentry=cls.sentry, **more))

    def serve(self, user):
        server = Server(self.postgres.url, {"HTTP_PORT": str(self.port), "TODO_USER": user,
                                            "TODO_TIMEZONE": "Europe/Berlin"})
        self.addCleanup(server.stop)

    def tell(self, revision):
        self.serve(revision)
        target = Target(f"{self.agent.url}/v1.0/invoke/backend/method/mcp", None, None, {})
        with PythonSession(target, revision) as session:
            Story(self, session).run()

    def test_the_official_client_speaks_2026_07_28(self):
        self.tell(MODERN)

    def test_the_official_client_speaks_2025_11_25(self):
        self.tell(LEGACY[0])

    def ask(self, daprd, path="mcp", method="POST", **headers):
        """(status, body) of a request for the tools."""
        connection = http.client.HTTPConnection("127.0.0.1", daprd.port, timeout=30)
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {}}}})
        connection.request(method, f"/v1.0/invoke/backend/method/{path}", body, {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list", **headers})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def test_who_is_not_named_may_call_nothing(self):
        self.serve("anyone")
        stranger = self.sidecar("notification-service")
        status, text = self.ask(stranger)
        self.assertEqual(status, 403, text)
        self.assertIn("access control policy", text)

    def test_an_agent_may_call_nothing_but_mcp(self):
        self.serve("anyone")
        self.assertEqual(self.ask(self.agent)[0], 200)
        for method, path in (("GET", "metrics"), ("GET", "mcp/../healthz"), ("PUT", "mcp")):
            status, text = self.ask(self.agent, path, method)
            self.assertEqual(status, 403, text)
            self.assertIn("access control policy", text)

    def test_a_foreign_origin_is_refused_through_the_sidecar_too(self):
        self.serve("anyone")
        status, text = self.ask(self.agent, Origin="https://evil.example")
        self.assertEqual(status, 403, text)
        self.assertIn("rigin", text)

    def test_a_sidecar_with_a_token_asks_for_it(self):
        self.serve("anyone")
        guarded = self.sidecar("agent", api_token="a-secret")
        self.assertEqual(self.ask(guarded)[0], 401)
        self.assertEqual(self.ask(guarded, **{"dapr-api-token": "a-secret"})[0], 200)

    def test_the_sidecars_tell_the_callers_trace_to_the_collector(self):
        self.serve("anyone")
        trace = secrets.token_bytes(16)
        self.ask(self.agent, traceparent=f"00-{trace.hex()}-00f067aa0ba902b7-01")
        wait_for(lambda: [app for app in (b"agent", b"backend") if any(
            trace in told.body and app in told.body for told in self.collector.at("/v1/traces"))]
            == [b"agent", b"backend"], 30, "the spans of both")

    def test_a_call_whose_way_breaks_is_not_made_again(self):
        """Without resiliency-agent.yaml daprd makes it again by itself."""
        seen, go_on = [], threading.Event()
        self.addCleanup(go_on.set)

        def hold(_):
            seen.append(1)
            go_on.wait(60)
            return 200, {}
        with App(port=self.port, answer=hold):
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                asked = pool.submit(self.ask, self.agent)
                wait_for(lambda: seen, 30, "the call")
                self.backend.kill()
                self.backend.start()
                self.assertEqual(asked.result(60)[0], 500)
        self.assertEqual(len(seen), 1)
        self.backend.stop()  # it has connections with the one that held the call
        self.serve("anyone")
        self.backend.start()
        wait_for(lambda: self.ask(self.agent)[0] == 200, 30, "the way to the backend")


class Workflows(unittest.TestCase):
    """The MCPServer: a workflow for the list and one for each tool, by the sidecar's HTTP API."""

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)
        cls.server = Server(cls.postgres.url, {"API_KEYS": "true"})
        cls.addClassCleanup(cls.server.stop)
        key = subprocess.run([server_binary(), "key", "create", "--name", "a", "--user", "an agent"],
                             env={**os.environ, "DATABASE_URL": cls.postgres.url}, check=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="todo-mcp-dapr-"))
        secret_store(cls.folder, {"agent-secrets": {"authorization": f"Bearer {key.strip()}",
                                                    "DATABASE_URL": cls.postgres.url}})
        take(cls.folder, "mcpserver", {f"todo-app-backend.{CLUSTER}:8000":
                                       f"127.0.0.1:{cls.server.port}"})
        take(cls.folder, "statestore-agent")
        scheduler, placement = (cls.enterClassContext(p()) for p in (Scheduler, Placement))
        cls.daprd = cls.enterClassContext(Daprd("agent", cls.folder, scheduler=scheduler,
                                                placement=placement))

    def ask(self, method, path, body=None):
        request = urllib.request.Request(
            f"{self.daprd.url}/v1.0/workflows/dapr/{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def begin(self, what, arguments):
        """The instance of a workflow: "ListTools", "CallTool.add_task"."""
        name = f"dapr.internal.mcp.todo.{what}"
        return self.ask("POST", f"{name}/start", {"arguments": arguments})["instanceID"]

    def is_over(self, instance):
        with contextlib.suppress(OSError):
            said = self.ask("GET", instance)
            return said if said["runtimeStatus"] not in ("PENDING", "RUNNING") else None

    def end(self, instance, seconds=60):
        """What a workflow gives: a ListToolsResult, a CallToolResult."""
        said = wait_for(lambda: self.is_over(instance), seconds, f"the end of {instance}")
        self.assertEqual(said["runtimeStatus"], "COMPLETED", said)
        return json.loads(said["properties"]["dapr.workflow.output"])

    def call(self, tool, **arguments):
        return self.end(self.begin(f"CallTool.{tool}", arguments))

    def count(self, title):
        return int(self.postgres.value(f"SELECT count(*) FROM todo.tasks WHERE title = '{title}'"))

    def test_the_tools_are_listed(self):
        tools = {t["name"] for t in self.end(self.begin("ListTools", {}))["tools"]}
        self.assertEqual(tools, set(TOOLS))

    def test_a_tool_is_called_as_the_keys_user(self):
        task = self.call("add_task", title="by a workflow", priority="high")["structuredContent"]
        got = self.call("get_task", task_id=task["id"])["structuredContent"]
        self.assertEqual((got["title"], got["priority"]), ("by a workflow", "high"))
        self.assertEqual(self.postgres.value(
            "SELECT u.subject FROM todo.users u JOIN todo.tasks t ON t.user_id = u.id "
            f"WHERE t.id = {task['id']}"), "an agent")

    def test_a_refusal_is_a_result(self):
        refused = self.call("add_task", title="x", priority="huge")
        self.assertTrue(refused["isError"])
        self.assertEqual(refused["structuredContent"]["field"], "priority")

    def held_up(self, title):
        """A call of add_task that waits in the database for a lock, and what lets it go."""
        lock = subprocess.Popen(["psql", "-Xqd", self.postgres.url], stdin=subprocess.PIPE, text=True)

        def let_go():
            if lock.poll() is None:
                lock.communicate("ROLLBACK;\n", timeout=30)
        self.addCleanup(let_go)
        lock.stdin.write("BEGIN; LOCK TABLE todo.tasks IN EXCLUSIVE MODE;\n")
        lock.stdin.flush()
        waits = "SELECT count(*) FROM pg_locks WHERE relation = 'todo.tasks'::regclass AND "
        wait_for(lambda: self.postgres.value(waits + "mode = 'ExclusiveLock'") == "1", 30, "the lock")
        instance = self.begin("CallTool.add_task", {"title": title, "idempotency_key": title})
        wait_for(lambda: int(self.postgres.value(waits + "NOT granted")) > 0, 30, "the call")
        return instance, let_go

    def calls(self):
        """How often the server was called for add_task."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}/metrics", timeout=30) as said:
            return sum(float(line.rsplit(" ", 1)[1]) for line in said.read().decode().splitlines()
                       if line.startswith("todo_calls_total") and '"add_task"' in line)

    def test_a_sidecar_that_is_killed_calls_again_and_the_key_keeps_it_one(self):
        """The call is under way when the sidecar dies; the next one makes it again."""
        before = self.calls()
        instance, let_go = self.held_up("despite a kill")
        self.daprd.kill()
        let_go()
        wait_for(lambda: self.count("despite a kill") == 1, 30, "the first call's task")
        self.daprd.start()
        task = self.end(instance)["structuredContent"]
        wait_for(lambda: self.calls() == before + 2, 10, "word of both calls")
        self.assertEqual(self.count("despite a kill"), 1)
        self.assertEqual(task["id"], int(self.postgres.value(
            "SELECT id FROM todo.tasks WHERE title = 'despite a kill'")))

    def test_after_a_restart_of_the_server_one_call_fails(self):
        """daprd has a session with it, and does not make the failed call again (docs/dapr.md)."""
        self.assertNotIn("isError", self.call("list_tags"))
        self.server.env["HTTP_PORT"] = str(self.server.port)
        self.server.stop()
        self.server.start()
        self.assertIn("session not found", self.call("list_tags")["content"][0]["text"])
        self.assertNotIn("isError", self.call("list_tags"))


if __name__ == "__main__":
    alone()
    unittest.main(verbosity=2)
