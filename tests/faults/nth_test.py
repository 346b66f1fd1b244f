"""Whole programs whose n-th allocation fails, in whatever library, or n-th call on a socket: n from
1 until what is asked passes without a failure. Each time it is answered well, refused as the
server's fault, or the connection closes; the program lives on, an acknowledged change is stored once
with its event, and the end is clean (leaks, too)."""

import contextlib
import http.client
import json
import os
import random
import resource
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from fail_nth import ACCEPT, MEMORY, RECEIVE, SEND, SOCKET, FailNth  # noqa: E402
from todo_server import Client, Postgres, Server, ToolError, server_binary, wait_for  # noqa: E402
from workers import Worker, event  # noqa: E402

CLOSED = (OSError, http.client.HTTPException, json.JSONDecodeError)
INTERNAL = -32603, -32000
ROUNDS = 2000


def tool(name, /, **arguments):
    return "tools/call", {"name": name, "arguments": arguments}


REQUESTS = [
    ("server/discover", {}),
    ("tools/list", {}),
    ("resources/list", {}),
    ("resources/read", {"uri": "tasks://today"}),
    ("prompts/list", {}),
    ("prompts/get", {"name": "plan_day"}),
    tool("create_category", name="{n}"),
    tool("create_tag", name="{n}"),
    tool("add_task", title="{n}", due_date="2036-01-01T00:00:00Z", recurrence_rule="FREQ=DAILY"),
    tool("update_task", task_id=1, description="{n}"),
    tool("set_reminder", task_id=1, remind_before_minutes=5),
    tool("list_tasks", sort_by="due_date"),
    tool("search_tasks", query="first"),
]


def fill(value, name):
    if isinstance(value, dict):
        return {key: fill(member, name) for key, member in value.items()}
    return name if value == "{n}" else value


class Program(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)

    def setUp(self):
        self.faults = FailNth()
        self.addCleanup(self.faults.close)

    def start(self, kind=Server, **env):
        program = kind(self.postgres.url, {**self.faults.env, **env})
        self.addCleanup(lambda: program.is_running() and program.kill())
        return program

    def rounds(self, kind):
        """Arms the n-th failure for each round, until one passes without."""
        for nth in range(1, ROUNDS):
            self.faults.fail(kind, nth)
            yield nth
            if self.faults.seen < nth:
                self.assertGreater(nth, 1, "nothing of this kind is called: nothing was tested")
                return
        self.fail(f"fails still after {ROUNDS} rounds")

    def judge(self, answer, what):
        """True for success. What fails is the server's fault and says so."""
        if answer is None:
            return False
        status, body = answer
        if body is not None and "result" in body and not body["result"].get("isError"):
            self.assertEqual(status, 200, what)
            return True
        if body is not None and "result" in body:
            self.assertEqual(body["result"]["structuredContent"]["code"], "unavailable",
                             f"{what}: {body}")
        elif body is not None:
            self.assertIn(body["error"]["code"], INTERNAL, f"{what}: {body}")
        else:
            self.assertGreaterEqual(status, 500, what)
        return False


class ServerTest(Program):
    def setUp(self):
        super().setUp()
        self.server = self.start(RELAY="false")
        self.client = None
        wait_for(lambda: self.ask(*tool("add_task", title="first",
                                        due_date="2036-01-01T00:00:00Z")), 30, "the first task")
        self.addCleanup(self.hang_up)

    def hang_up(self):
        if self.client:
            self.client.close()
        self.client = None

    def ask(self, method, params, is_new=False):
        """None: the connection was closed."""
        if is_new or not self.client:
            self.hang_up()
            self.client = Client(self.server.port)
        try:
            headers = {"Mcp-Name": params["uri"]} if "uri" in params else None
            return self.client.request(method, params, headers)
        except TimeoutError:
            self.fail(f"{method} {params} was never answered")
        except CLOSED:
            self.hang_up()
            return None

    def is_well(self):
        return self.judge(self.ask(*tool("list_tasks")), "the call after")

    def check_stored(self, acknowledged):
        """Each is there once, nothing is there twice, and each task has its event."""
        titles = [row[0] for row in self.postgres.query(
            "select title from todo.tasks where title <> 'first'")]
        self.assertEqual(len(titles), len(set(titles)))
        self.assertLessEqual(acknowledged, set(titles))
        self.assertEqual(self.postgres.value(
            "select count(*) from todo.tasks t where not exists (select from todo.outbox o where "
            "o.type = 'TaskCreatedEvent' and o.key = t.id::text)"), "0")

    def run_rounds(self, kind, requests, is_new):
        acknowledged, failures = set(), 0
        for method, params in requests:
            for nth in self.rounds(kind):
                name = f"{kind}-{params.get('name', method)}-{nth}"
                filled = fill(params, name)
                is_done = self.judge(self.ask(method, filled, is_new), name)
                failed = self.faults.end()
                failures += failed
                self.assertTrue(failed or is_done, name)
                if is_done and params.get("name") == "add_task":
                    acknowledged.add(name)
                if failed and not is_done:
                    wait_for(self.is_well, 30, f"an answer after {name}")
                self.assertTrue(self.server.is_running(), name)
        self.check_stored(acknowledged)
        self.hang_up()
        self.server.stop()
        return failures

    def test_memory_of_each_kind_of_request(self):
        self.assertGreater(self.run_rounds(MEMORY, REQUESTS, False), 100)

    def test_memory_of_a_connection(self):
        self.run_rounds(MEMORY, REQUESTS[:1], True)

    def test_receiving(self):
        self.run_rounds(RECEIVE, [tool("add_task", title="{n}")], True)

    def test_sending(self):
        self.run_rounds(SEND, [tool("add_task", title="{n}")], True)

    def test_accepting(self):
        self.run_rounds(ACCEPT, REQUESTS[:1], True)

    def test_sockets_to_the_database(self):
        for _ in range(3):
            self.postgres.query("select pg_terminate_backend(pid) from pg_stat_activity where "
                                "pid <> pg_backend_pid() and backend_type = 'client backend'")
            self.faults.fail(SOCKET, 1)
            wait_for(lambda: self.is_well() and self.faults.failed, 30, "a failure, and an answer")
        self.hang_up()
        self.server.stop()

    def test_descriptors_run_out_under_load(self):
        """Whom there is no descriptor for is turned away, until there is one."""
        pid = self.server.process.pid
        used = len(os.listdir(f"/proc/{pid}/fd"))
        old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 3, old[1]))
        clients = [Client(self.server.port) for _ in range(12)]
        for client in clients:
            client.connection.connect()
        answered = 0
        for client in clients:
            with contextlib.suppress(*CLOSED):
                answered += self.judge(client.request("tools/list"), "with no descriptor left")
        self.assertTrue(0 < answered < len(clients), answered)
        for client in clients:
            client.close()
        wait_for(self.is_well, 30, "a new connection")
        self.hang_up()
        self.server.stop()

    def test_memory_under_load(self):
        seed = random.randrange(1 << 32)
        print(f"seed {seed}", file=sys.stderr)
        acknowledged, outcomes, end = set(), [0, 0, 0], time.monotonic() + 4

        def agent(number):
            client, count = None, 0
            while time.monotonic() < end:
                count += 1
                title = f"load {number}-{count}"
                client = client or Client(self.server.port)
                try:
                    client.call("add_task", title=title)
                    acknowledged.add(title)
                    outcomes[0] += 1
                except (ToolError, RuntimeError):
                    outcomes[1] += 1
                except TimeoutError:
                    raise
                except CLOSED:
                    outcomes[2] += 1
                    client.close()
                    client = None
            if client:
                client.close()
        self.faults.fail_one_in(MEMORY, 2000, seed)
        agents = [threading.Thread(target=agent, args=(n,)) for n in range(4)]
        for thread in agents:
            thread.start()
        for thread in agents:
            thread.join(60)
        failed = self.faults.end()
        print(f"{failed} allocations failed: {outcomes[0]} calls done, {outcomes[1]} refused, "
              f"{outcomes[2]} cut off", file=sys.stderr)
        self.assertGreater(failed, 0)
        self.assertGreater(outcomes[0], 0)
        self.assertTrue(self.server.is_running())
        wait_for(self.is_well, 30, "an answer after the load")
        self.check_stored(acknowledged)
        self.hang_up()
        self.server.stop()


class OtherProgramsTest(Program):
    def deliver(self, worker, message):
        try:
            return worker.post(message)
        except CLOSED:
            return None

    def deliver_in_rounds(self, kind):
        worker = self.start(Worker)
        wait_for(worker.is_ready, 60, "the worker")
        events = []
        for _ in self.rounds(kind):
            events.append(event())
            status = self.deliver(worker, events[-1])
            failed = self.faults.end()
            if status != 200:
                self.assertTrue(failed and (status is None or status >= 500), status)
                wait_for(lambda: self.deliver(worker, events[-1]) == 200, 30, "the effect")
            self.assertTrue(worker.is_running())
        ids = ", ".join(f"'{e['id']}'" for e in events)
        self.assertEqual(self.postgres.value(
            f"select count(*) from recorder.recorded where event_id in ({ids})"), str(len(events)))
        worker.stop()

    def test_memory_of_a_worker(self):
        self.deliver_in_rounds(MEMORY)

    def test_receiving_in_a_worker(self):
        self.deliver_in_rounds(RECEIVE)

    def test_sending_in_a_worker(self):
        self.deliver_in_rounds(SEND)

    def test_memory_over_stdio(self):
        """A line is answered, or the program says why it ends."""
        env = {**os.environ, **self.faults.env, "DATABASE_URL": self.postgres.url,
               "RELAY": "false"}
        with subprocess.Popen([server_binary(), "--stdio"], env=env, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            self.addCleanup(process.kill)
            meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": {}}

            def ask(method, params):
                process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                                "params": {**params, "_meta": meta}}) + "\n")
                process.stdin.flush()
                return 200, json.loads(process.stdout.readline())
            wait_for(lambda: self.judge(ask(*tool("list_tasks")), "start"), 60, "the start")
            for nth in self.rounds(MEMORY):
                is_done = self.judge(ask(*tool("add_task", title=f"t{nth}")), nth)
                if self.faults.end() and not is_done:
                    wait_for(lambda: self.judge(ask(*tool("list_tasks")), nth), 30, "an answer")
            log = process.communicate(timeout=60)[1]
            self.assertEqual(process.returncode, 0, log[-4000:])

    def test_memory_at_the_start(self):
        """A start that fails says why and ends by itself."""
        self.start().stop()  # makes the schema
        for nth in [1, 3, 10, 100, *random.Random(7).sample(range(1, 4000), 9)]:
            env = {**os.environ, **self.faults.env, "DATABASE_URL": self.postgres.url,
                   "HTTP_PORT": "0", "RELAY": "false"}
            self.faults.fail(MEMORY, nth)
            with subprocess.Popen([server_binary()], env=env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  text=True) as process:
                lines = []
                for line in process.stderr:
                    lines.append(line)
                    if "listening" in line:
                        break
                self.faults.end()  # what counts the lines that ran can't do without memory
                process.terminate()
                lines.append(process.stderr.read())
                code = process.wait(60)
            log = "".join(lines)
            self.assertIn(code, (0, 1, 2), f"n = {nth}\n{log[-4000:]}")
            self.assertNotIn("Sanitizer", log, nth)
            if code:
                self.assertIn("todo-mcp: ", log, nth)


if __name__ == "__main__":
    socket.setdefaulttimeout(30)
    unittest.main()
