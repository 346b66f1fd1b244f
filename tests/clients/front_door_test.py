"""./todo itself: on stdio nothing but protocol comes out, however much there is to build, and a
second start takes less than a second."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from todo_server import MODERN  # noqa: E402

DISCOVER = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {}}}}) + "\n"


def quickest(action):
    """Of three times, since the machine may have others to serve: the action's own measure, else
    from its call to its return."""
    measures = []
    for _ in range(3):
        started = time.monotonic()
        measures.append(action() or time.monotonic() - started)
    return min(measures)


class FrontDoorTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="todo-front-")
        cls.addClassCleanup(cls.scratch.cleanup)
        os.chmod(cls.scratch.name, 0o755)
        cls.tree = f"{cls.scratch.name}/tree"
        shutil.copytree(ROOT, cls.tree, symlinks=True, ignore=lambda folder, names: [
            n for n in names if n in (".git", "__pycache__") or (folder, n) == (ROOT, "build")])
        cls.env = {**os.environ, "DATA_DIR": f"{cls.scratch.name}/data", "HTTP_PORT": "0",
                   "LOG_FORMAT": "json"}
        cls.env.pop("DATABASE_URL", None)
        cls.first = cls.todo("stdio")

    @classmethod
    def todo(cls, *words):
        """(exit code, stdout, stderr) of a conversation of one request, from another directory."""
        done = subprocess.run([f"{cls.tree}/todo", *words], input=DISCOVER, env=cls.env, cwd="/",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=500, check=False)
        return done.returncode, done.stdout, done.stderr

    def check_stdio(self, code, out, err):
        self.assertEqual(code, 0, err)
        lines = out.splitlines()
        self.assertEqual(len(lines), 1, out)
        answer = json.loads(lines[0])
        self.assertEqual(answer["id"], 1)
        self.assertIn(MODERN, answer["result"]["supportedVersions"])

    def test_the_first_stdio_builds_and_prints_nothing_but_protocol(self):
        self.check_stdio(*self.first)
        self.assertIn("Building C object", self.first[2])

    def test_a_later_stdio_is_done_within_a_second(self):
        def stdio():
            code, out, err = self.todo("stdio")
            self.check_stdio(code, out, err)
            self.assertNotIn("Building C object", err)
        self.assertLess(quickest(stdio), 1)

    def listen_and_end(self):
        started = time.monotonic()
        with subprocess.Popen([f"{self.tree}/todo", "run"], env=self.env, cwd="/",
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as process:
            log = ""
            while '"listening"' not in log:
                line = process.stderr.readline()
                self.assertTrue(line, log)
                log += line
            seconds = time.monotonic() - started
            process.send_signal(signal.SIGTERM)
            process.stderr.read()
            self.assertEqual(process.wait(30), 0)
        return seconds

    def test_a_later_run_listens_within_a_second(self):
        seconds = quickest(self.listen_and_end)
        print(f"./todo run listens after {seconds:.2f} s", file=sys.stderr)
        self.assertLess(seconds, 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
