"""The Inspector's page in headless Chromium against todo-mcp over HTTP: connect, list, call, see a
resource change that another client changes.

    run.sh inspector_page_test.py FOLDER      where the screenshots go"""

import datetime
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from sessions import INSPECTOR, NODE  # noqa: E402
from todo_server import LEGACY, MODERN, SKIPPED, Client, Postgres, Server  # noqa: E402

CHROMIUM = shutil.which("chromium")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class InspectorPageTest(unittest.TestCase):
    folder = "."

    def setUp(self):
        postgres = Postgres(fsync=False)
        self.addCleanup(postgres.close)
        self.server = Server(postgres.url, {"TODO_USER": "ada", "TODO_TIMEZONE": "UTC"})
        self.addCleanup(self.server.stop)

    def inspector(self, era):
        """The address of a running Inspector that knows the server."""
        home = self.enterContext(tempfile.TemporaryDirectory(prefix="todo-inspector-"))
        with open(f"{home}/servers.json", "w", encoding="utf-8") as f:
            json.dump({"mcpServers": {"todo": {
                "type": "streamable-http", "protocolEra": era,
                "url": f"http://127.0.0.1:{self.server.port}/mcp"}}}, f)
        env = {**os.environ, "HOME": home, "HOST": "127.0.0.1", "CLIENT_PORT": str(free_port()),
               "MCP_SANDBOX_PORT": "0", "MCP_AUTO_OPEN_ENABLED": "false",
               "MCP_INSPECTOR_SECRET_STORE": "memory"}
        process = self.enterContext(subprocess.Popen(
            [NODE, INSPECTOR, "--web", "--config", f"{home}/servers.json"], env=env, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        self.addCleanup(process.terminate)
        said = []
        for line in process.stdout:
            said.append(line)
            if address := re.search(r"http://\S+_TOKEN=\S+", line):
                return address.group(0)
        raise AssertionError("the Inspector did not start:\n" + "".join(said))

    def check_page(self, era, revision):
        screenshot = f"{self.folder}/inspector-{era}.png"
        page = subprocess.Popen(
            [NODE, f"{HERE}/inspector_page.mjs", self.inspector(era), revision, CHROMIUM,
             screenshot, "Write the minutes", "Call the plumber"], text=True, stdout=subprocess.PIPE)
        with page:
            if page.stdout.readline() == "subscribed\n":
                client = Client(self.server.port)
                now = datetime.datetime.now(datetime.timezone.utc).isoformat()
                client.call("add_task", title="Call the plumber", due_date=now)
                client.close()
        self.assertEqual(page.returncode, 0, f"see {screenshot}")
        self.assertGreater(os.path.getsize(screenshot), 10_000)

    def test_the_page_in_the_stateless_revision(self):
        self.check_page("modern", MODERN)

    def test_the_page_with_the_handshake(self):
        self.check_page("legacy", LEGACY[0])


if __name__ == "__main__":
    if not CHROMIUM:
        print("not run: needs Chromium", file=sys.stderr)
        sys.exit(SKIPPED)
    InspectorPageTest.folder = sys.argv.pop(1)
    unittest.main(verbosity=2)
