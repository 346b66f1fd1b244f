"""./todo run as it is on a laptop: the server and the three workers beside it, with no broker, no
mail server and a PostgreSQL of their own.

TODO_MCP names the server; the workers and apps/run.sh are found from there."""

import datetime
import email
import email.policy
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))
from stack import free_port  # noqa: E402
from todo_server import Client, is_alive, server_binary, wait_for  # noqa: E402

WORKERS = ("todo-notification", "todo-email", "todo-recurring")


def in_seconds(seconds):
    then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return then.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Run:
    def __init__(self, folder, *flags, **env):
        apps = os.path.dirname(os.path.dirname(server_binary()))
        self.ports = [free_port() for _ in WORKERS]
        self.env = {**os.environ, "DATA_DIR": folder, "HTTP_PORT": str(free_port()),
                    "LOG_FORMAT": "json", "TODO_USER": "ann",
                    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
                    **dict(zip(("NOTIFICATION_PORT", "EMAIL_PORT", "RECURRING_PORT"),
                               map(str, self.ports))), **env}
        for name in ("DATABASE_URL", "SMTP_URL", "KAFKA_BROKERS", "USE_DAPR"):
            self.env.pop(name, None)
        self.port = int(self.env["HTTP_PORT"])
        self.lines = []
        self.process = subprocess.Popen(
            ["bash", f"{ROOT}/apps/run.sh", apps, *flags], env=self.env, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        self.lines.extend(self.process.stderr)

    def log(self):
        return "".join(self.lines)

    def wait_ready(self):
        wait_for(lambda: self.process.poll() is not None or all(map(self.is_ready, [*self.ports, self.port])),
                 60, "the programs")
        if self.process.poll() is not None:
            raise RuntimeError(self.log())
        return self

    @staticmethod
    def is_ready(port):
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as s:
                s.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return s.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.1 404"))
        except OSError:
            return False

    def children(self):
        """{program: pid} of those that run."""
        out = subprocess.run(["pgrep", "-P", str(self.process.pid), "-a"], check=False,
                             stdout=subprocess.PIPE, text=True).stdout
        return {os.path.basename(line.split()[1]): int(line.split()[0])
                for line in out.splitlines() if "/todo-" in line}

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(60)
        self.reader.join(10)
        self.process.stderr.close()
        return code


class RunTest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="todo-run-", ignore_cleanup_errors=True)
        self.addCleanup(scratch.cleanup)
        os.chmod(scratch.name, 0o755)
        self.folder = os.path.join(scratch.name, "data")
        self.mail = os.path.join(self.folder, "mail", "new")

    def run_all(self, *flags, **env):
        run = Run(self.folder, *flags, **env)
        self.addCleanup(run.end)
        return run

    def mails(self):
        if not os.path.isdir(self.mail):
            return []
        out = []
        for name in sorted(os.listdir(self.mail)):
            with open(os.path.join(self.mail, name), "rb") as f:
                out.append(email.message_from_binary_file(f, policy=email.policy.default))
        return out

    def test_a_reminder_and_the_next_occurrence_come_without_any_set_up(self):
        run = self.run_all().wait_ready()
        client = Client(run.port)
        self.addCleanup(client.close)
        task = client.call("add_task", title="Müll rausbringen")["id"]
        client.call("set_reminder", task_id=task, remind_at=in_seconds(2))
        first = client.call("add_task", title="water the plants", due_date=in_seconds(86400),
                            recurrence_rule="daily")["id"]
        client.call("complete_task", task_id=first)
        wait_for(self.mails, 30, "the reminder")
        self.assertEqual([m["Subject"] for m in self.mails()], ["Reminder: Müll rausbringen"])
        wait_for(lambda: len([t for t in client.call("list_tasks")["tasks"]
                              if t["title"] == "water the plants"]) == 2, 30, "the occurrence")
        self.assertTrue(client.call("get_task", task_id=task)["reminder"]["sent"])
        children = run.children()
        self.assertEqual(set(children), {"todo-mcp", *WORKERS})
        self.assertEqual(run.end(), 0)
        self.assertFalse([name for name, pid in children.items() if is_alive(pid)])
        self.assertNotIn("Sanitizer", run.log())
        self.assertEqual(len(self.mails()), 1)

    def test_all_end_with_the_first_and_it_is_named(self):
        run = self.run_all().wait_ready()
        children = run.children()
        os.kill(children["todo-email"], signal.SIGKILL)
        self.assertNotEqual(run.process.wait(60), 0)
        wait_for(lambda: not [p for p in children.values() if is_alive(p)], 10, "their end")
        run.reader.join(10)
        self.assertIn("todo-email ended with 137", run.log())

    def test_nothing_is_left_when_the_script_is_killed(self):
        run = self.run_all().wait_ready()
        children = run.children()
        run.end(signal.SIGKILL)
        wait_for(lambda: not [p for p in children.values() if is_alive(p)], 30, "their end")

    def test_a_port_that_is_taken_is_named(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            taken = s.getsockname()[1]
            for variable, program in (("EMAIL_PORT", "todo-email"), ("HTTP_PORT", "todo-mcp")):
                run = self.run_all(**{variable: str(taken)})
                self.assertEqual(run.process.wait(30), 1)
                run.reader.join(10)
                self.assertIn(f"port {taken} of {program} is taken", run.log())
                self.assertIn(f"set {variable}", run.log())

    def test_a_signal_during_the_start_ends_all(self):
        for wanted in ("making the database", "database started", '"listening"'):
            run = self.run_all()
            wait_for(lambda run=run, wanted=wanted: wanted in run.log(), 60, "the line")
            self.assertEqual(run.end(), 0, run.log())

    def test_flags_reach_the_workers(self):
        run = self.run_all("--log-level=debug", "--data-dir", self.folder, DATA_DIR="/nonexistent")
        run.wait_ready()
        self.assertTrue(os.path.isdir(self.mail))
        self.assertEqual(run.end(signal.SIGINT), 0)
        levels = {json.loads(line)["level"] for line in run.lines if line.startswith("{")}
        self.assertLessEqual({"info"}, levels)


if __name__ == "__main__":
    unittest.main(verbosity=2)
