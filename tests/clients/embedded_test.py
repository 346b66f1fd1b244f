"""todo-mcp with no DATABASE_URL: its private PostgreSQL is shared, quick, and survives."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from todo_server import MODERN, Client, Server, is_alive, server_binary, wait_for  # noqa: E402
from wire import StdioWire  # noqa: E402

os.environ.pop("DATABASE_URL", None)


class StdioClient:
    """The calls of todo_server.Client, over stdio."""

    def __init__(self, env):
        self.wire = StdioWire(types.SimpleNamespace(command=server_binary(), args=["--stdio"],
                                                    env={**env, "LOG_LEVEL": "warn"}))
        self.process = self.wire.process

    def start(self):
        self.wire.start(MODERN)
        return self

    def call(self, tool, **arguments):
        answer = self.wire.request("tools/call", {"name": tool, "arguments": arguments})
        result = answer["result"]
        if result.get("isError"):
            raise AssertionError(result)
        return result["structuredContent"]


class EmbeddedTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="todo-embedded-")
        self.addCleanup(scratch.cleanup)
        os.chmod(scratch.name, 0o755)  # root's cluster runs as another user
        self.dir = f"{scratch.name}/data"
        self.env = {"DATA_DIR": self.dir, "TODO_USER": "tester", "LOG_LEVEL": "info"}
        self.addCleanup(self.end_clusters)

    def postmasters(self):
        """Whose data lies in our directory. Their children say so as well, by another name."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
                if words[0].endswith(b"/postgres") and any(
                        w.startswith(self.dir.encode()) for w in words) and is_alive(int(pid)):
                    found.append(int(pid))
        return found

    def end_clusters(self):
        for pid in self.postmasters():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)
        wait_for(lambda: not self.postmasters(), 30, "the end of PostgreSQL")

    def serve(self):
        server = Server(None, self.env)
        self.addCleanup(lambda: server.is_running() and server.kill())
        return server

    def titles(self, client):
        return sorted(t["title"] for t in client.call("list_tasks")["tasks"])

    def test_stdio_and_http_share_one_cluster_and_the_last_one_ends_it(self):
        server = self.serve()
        http = Client(server.port)
        stdio = StdioClient(self.env).start()
        http.call("add_task", title="by HTTP")
        stdio.call("add_task", title="by stdio")
        self.assertEqual(self.titles(http), ["by HTTP", "by stdio"])
        self.assertEqual(self.titles(stdio), ["by HTTP", "by stdio"])
        self.assertEqual(len(self.postmasters()), 1)
        http.close()
        server.stop()
        self.assertEqual(self.titles(stdio), ["by HTTP", "by stdio"])
        stdio.wire.close()
        self.assertEqual(self.postmasters(), [])

    def test_two_first_starts_at_once_make_one_cluster(self):
        clients = [StdioClient(self.env) for _ in range(4)]
        for n, client in enumerate(clients):
            client.start().call("add_task", title=str(n))
        self.assertEqual(len(self.postmasters()), 1)
        self.assertEqual(self.titles(clients[0]), ["0", "1", "2", "3"])
        for client in clients:
            client.wire.close()
        self.assertEqual(self.postmasters(), [])

    def test_the_second_start_takes_less_than_a_second(self):
        self.serve().stop()
        measures = []
        for _ in range(3):  # the machine may have others to serve
            started = time.monotonic()
            server = self.serve()
            measures.append(time.monotonic() - started)
            server.stop()
        seconds = min(measures)
        print(f"second start: {seconds:.2f} s", file=sys.stderr)
        self.assertLess(seconds, 1)

    def check_restart(self, fault):
        server = self.serve()
        client = Client(server.port)
        client.call("add_task", title="kept")
        fault(server)
        client.close()
        server = self.serve()
        again = Client(server.port)
        self.assertEqual(self.titles(again), ["kept"])
        again.call("add_task", title="more")
        again.close()
        server.stop()
        self.assertEqual(self.postmasters(), [])

    def test_sigterm_ends_the_cluster_and_keeps_the_data(self):
        def end(server):
            server.stop()
            self.assertEqual(self.postmasters(), [])
        self.check_restart(end)

    def test_impatient_signals_do_not_cut_the_end_short(self):
        server = self.serve()
        Client(server.port).call("add_task", title="kept")
        while server.is_running():
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.001)
        server.stop()
        self.assertEqual(self.postmasters(), [])

    def test_kill_of_the_program_keeps_the_data(self):
        self.check_restart(lambda server: server.kill())

    def test_kill_of_everything_keeps_the_data(self):
        def kill_all(server):
            server.kill()
            children = []
            for pid in self.postmasters():
                os.kill(pid, signal.SIGSTOP)
                children += map(int, subprocess.run(["pgrep", "-P", str(pid)], text=True,
                                                    stdout=subprocess.PIPE,
                                                    check=False).stdout.split())
                os.kill(pid, signal.SIGKILL)
            self.assertGreater(len(children), 2)
            for pid in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not self.postmasters(), 10, "the end of PostgreSQL")
        self.check_restart(kill_all)

    def test_kill_of_postgresql_alone_is_mended_by_the_next_start(self):
        def kill_postgresql(server):
            for pid in self.postmasters():
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: not self.postmasters(), 10, "the end of PostgreSQL")
            server.kill()
        self.check_restart(kill_postgresql)

    def test_a_program_that_runs_mends_a_killed_postgresql(self):
        server = self.serve()
        client = Client(server.port)
        client.call("add_task", title="kept")
        before = self.postmasters()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: set(self.postmasters()) - set(before), 30, "a new PostgreSQL")
        self.assertEqual(self.titles(client), ["kept"])
        client.call("add_task", title="more")
        client.close()
        server.stop()
        self.assertEqual(self.postmasters(), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
