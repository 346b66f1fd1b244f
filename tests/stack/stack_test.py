"""./todo stack: brings the whole stack up, carries an event, a state, a job and a mail through it,
changes the broker, and leaves nothing running."""

import json
import os
import shlex
import smtplib
import subprocess
import sys
import tempfile
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import App, free_port, kafka_python  # noqa: E402
from todo_server import is_alive, wait_for  # noqa: E402

FRONT_DOOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "todo")
PARTS = ["postgres", "kafka", "redis", "scheduler", "smtp", "otlp", "daprd-backend",
         "daprd-notification-service", "daprd-email-delivery-service",
         "daprd-recurring-task-service"]


def commands_naming(text):
    """The command lines of the processes that name `text`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if text in line and int(pid) != os.getpid():
            found.append(line)
    return found


class StackTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="todo-stack-")
        self.addCleanup(folder.cleanup)
        self.home = folder.name
        self.apps = {name: App({"task-events": "/events/task"}) for name in
                     ("backend", "notification-service")}
        self.addCleanup(lambda: self.todo("down", "--clear", check=False))

    def todo(self, *words, check=True):
        return subprocess.run([FRONT_DOOR, "stack", *words], check=check, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, "XDG_STATE_HOME": self.home})

    def settings(self, app_id):
        path = os.path.join(self.home, "todo-app", "stack", "env", app_id)
        with open(path, encoding="utf-8") as f:
            return dict(line.split("=", 1) for line in shlex.split(f.read()))

    def ask(self, app_id, method, path, value=None):
        settings = self.settings(app_id)
        request = urllib.request.Request(
            f"http://127.0.0.1:{settings['DAPR_HTTP_PORT']}{path}", method=method,
            data=None if value is None else json.dumps(value).encode(),
            headers={"Content-Type": "application/json",
                     "dapr-api-token": settings["DAPR_API_TOKEN"]})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def parts(self):
        path = os.path.join(self.home, "todo-app", "stack", "parts.json")
        with open(path, encoding="utf-8") as f:
            return json.load(f)["parts"]

    def publish(self, number):
        self.ask("backend", "POST", "/v1.0/publish/pubsub-kafka/task-events", {"n": number})
        wait_for(lambda: any(d.json()["data"]["n"] == number
                             for d in self.apps["backend"].at("/events/task")), 60,
                 f"event {number}")

    def status(self):
        """The exit code, and the word for each part."""
        done = self.todo("status", check=False)
        words = [line.split() for line in done.stdout.splitlines()]
        return done.returncode, {w[0]: " ".join(w[1:3]) for w in words if w[0] in PARTS}

    def stored_in_kafka(self):
        kafka_python()
        from kafka import KafkaConsumer, TopicPartition
        consumer = KafkaConsumer(bootstrap_servers=self.settings("backend")["KAFKA_BROKERS"])
        partitions = [TopicPartition("task-events", n) for n in range(3)]
        count = sum(consumer.end_offsets(partitions).values())
        consumer.close()
        return count

    def stored_in_redis(self):
        port = str(self.parts()["redis"]["ports"]["redis"])
        return int(subprocess.run(["redis-cli", "-p", port, "xlen", "task-events"], check=True,
                                  stdout=subprocess.PIPE, text=True).stdout)

    def up(self):
        ports = [f"--app-port={name}={app.port}" for name, app in self.apps.items()]
        ports += [f"--app-port={name}={free_port()}" for name in
                  ("email-delivery-service", "recurring-task-service")]
        for app in self.apps.values():
            app.start()
            self.addCleanup(app.stop)
        return self.todo("up", *ports).stdout

    def test_the_stack_carries_all_that_the_product_sends_through_it(self):
        printed = self.up()
        self.assertIn("DATABASE_URL=", printed)
        code, words = self.status()
        self.assertEqual((code, sorted(words)), (0, sorted(PARTS)), words)

        self.publish(1)
        self.assertEqual((self.stored_in_kafka(), self.stored_in_redis()), (1, 0))
        self.todo("broker", "redis")
        self.publish(2)
        self.assertEqual((self.stored_in_kafka(), self.stored_in_redis()), (1, 1))
        self.todo("broker", "kafka")
        self.publish(3)
        self.assertEqual((self.stored_in_kafka(), self.stored_in_redis()), (2, 1))

        state = "/v1.0/state/statestore-postgres"
        self.ask("notification-service", "POST", state, [{"key": "k", "value": {"x": 1}}])
        self.assertEqual(self.ask("notification-service", "GET", f"{state}/k"), {"x": 1})
        row = subprocess.run(["psql", "-XAtd", self.settings("backend")["DATABASE_URL"], "-c",
                              "select value->>'x' from dapr_state_store"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        self.assertEqual(row.strip(), "1")

        self.ask("notification-service", "POST", "/v1.0-alpha1/jobs/check-due-tasks",
                 {"schedule": "@every 1s", "data": {"x": 1}})
        wait_for(lambda: self.apps["notification-service"].at("/job/check-due-tasks"), 60, "a job")
        self.take_mail()

    def take_mail(self):
        port = int(self.settings("email-delivery-service")["SMTP_URL"].rsplit(":", 1)[1])
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.sendmail("a@example.com", ["b@example.com"], "Subject: x\r\n\r\nx\r\n")
        folder = os.path.join(self.parts()["smtp"]["folder"], "mails")
        self.assertIn("000001.json", os.listdir(folder))

    def test_a_part_that_died_is_seen_and_comes_back_with_up(self):
        self.up()
        before = self.parts()
        os.kill(before["redis"]["pid"], 9)
        wait_for(lambda: not is_alive(before["redis"]["pid"]), 10, "the end of Redis")
        code, words = self.status()
        self.assertEqual(code, 1)
        self.assertEqual([name for name, word in words.items() if word.split()[0] != "up"],
                         ["redis"])
        self.todo("up")
        after = self.parts()
        self.assertEqual(self.status()[0], 0)
        self.assertEqual({name for name in PARTS if before[name]["pid"] != after[name]["pid"]},
                         {"redis"})
        self.assertEqual(before["redis"]["ports"], after["redis"]["ports"])
        self.assertIn("Ready to accept connections", self.todo("logs", "redis").stdout)
        self.assertNotEqual(self.todo("logs", "nothing", check=False).returncode, 0)

    def test_down_leaves_nothing_running_and_keeps_the_data(self):
        self.up()
        state = "/v1.0/state/statestore-postgres"
        self.ask("notification-service", "POST", state, [{"key": "k", "value": {"x": 1}}])
        pids = [part["pid"] for part in self.parts().values()]
        self.todo("down")
        self.assertEqual([pid for pid in pids if is_alive(pid)], [])
        self.assertEqual(commands_naming(self.home), [])
        self.assertEqual(set(self.status()[1].values()), {"down"})
        self.todo("up")
        self.assertEqual(self.ask("notification-service", "GET", f"{state}/k"), {"x": 1})
        self.todo("down", "--clear")
        self.assertEqual(os.listdir(os.path.join(self.home, "todo-app")), ["stack.lock"])
        self.assertEqual(commands_naming(self.home), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
