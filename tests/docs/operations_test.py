"""docs/operations.md: its commands are run, and what they promise is looked for in what users see."""

import pathlib
import re
import unittest

from commands import ROOT, Shell, run_document
from places import SPACE, Caller, Cluster, DatabaseHost, make_key

from stack import SCRAM_PASSWORD, SCRAM_USER, Kafka
from todo_server import wait_for


class Operations(unittest.TestCase):
    def setUp(self):
        self.host = self.open(DatabaseHost())
        self.kafka = Kafka(sasl=True)
        self.addCleanup(self.kafka.close)
        self.kafka.start(wait=False)
        self.cluster = self.open(Cluster())
        self.kafka.wait_ready()
        self.shell = self.open(Shell(
            {**self.host.tools, **self.cluster.tools},
            {**self.host.env, **self.cluster.env, "SMTP_URL": "smtp://127.0.0.1:9",
             "KAFKA_BROKERS": self.kafka.sasl_brokers, "KAFKA_USER": SCRAM_USER,
             "KAFKA_PASSWORD": SCRAM_PASSWORD}))

    def open(self, thing):
        self.addCleanup(thing.close)
        return thing

    def caller(self):
        return self.open(Caller(self.cluster.program("todo-app-backend").port, self.key))

    def scale(self, name, replicas):
        self.cluster.api.kubectl("-n", SPACE, "scale", f"deploy/todo-app-{name}",
                                 f"--replicas={replicas}")
        self.cluster.api.kubectl("-n", SPACE, "wait", f"deploy/todo-app-{name}", "--timeout=60s",
                                 f"--for=jsonpath={{.status.replicas}}={replicas}" if replicas
                                 else "--for=jsonpath={.spec.replicas}=0")

    def tasks(self):
        return [tuple(row) for row in self.host.query(
            "select title, completed::int, coalesce(occurrence, 1) from todo.tasks order by id")]

    def before_the_moment(self):
        """A series whose worker is away, so that what it does comes after the moment; one whose
        worker did its work before; and a task that somebody will delete."""
        self.key = make_key(self.host.url)
        caller = self.caller()
        caller.call("add_task", title="keep")
        for title in ("early", "late"):
            task = caller.call("add_task", title=title, due_date="2030-01-31T09:00:00Z",
                               recurrence_rule="FREQ=DAILY")
            if title == "late":
                self.scale("recurring", 0)
                wait_for(lambda: not any(n.startswith("todo-app-recurring-")
                                         for n in self.cluster.kubelet.programs), 60)
            caller.call("complete_task", task_id=task["id"])
            if title == "early":
                wait_for(lambda: ("early", "0", "2") in self.tasks(), 60, "the early successor")
        wait_for(lambda: self.host.value("select count(*) from todo.outbox where published_at is"
                                         " null") == "0", 60, "all published")
        self.before = self.tasks()
        self.assertEqual(self.before, [("keep", "0", "1"), ("early", "1", "1"), ("early", "0", "2"),
                                       ("late", "1", "1")])

    def after_the_moment(self):
        """The late series' successor comes, and the mistake is made."""
        self.scale("recurring", 2)
        wait_for(lambda: ("late", "0", "2") in self.tasks(), 60, "the late successor")
        caller = self.caller()
        keep = caller.call("search_tasks", query="keep")["tasks"][0]["id"]
        caller.call("delete_task", task_id=keep)
        self.lost = caller.call("add_task", title="made after the moment")["id"]
        self.assertNotIn("keep", [t[0] for t in self.tasks()])
        wait_for(lambda: self.host.value("select count(*) from todo.outbox where published_at is"
                                         " null") == "0", 60, "all published")

    def after_the_restore(self):
        """What was deleted is back, what was handled after the moment was handled again, what was
        handled before it was not, and no id comes twice."""
        wait_for(lambda: ("late", "0", "2") in self.tasks(), 60, "the late successor, once more")
        wait_for(lambda: self.host.value("select count(*) from todo.outbox where published_at is"
                                         " null") == "0", 60, "all published")
        self.assertEqual(sorted(self.tasks()), sorted([*self.before, ("late", "0", "2")]))
        wait_for(lambda: sum(self.metric("todo-app-recurring", "repeated")) >= 1, 30,
                 "the early completion, dropped")
        self.assertGreater(self.caller().call("add_task", title="new")["id"], self.lost)

    def metric(self, deployment, outcome):
        wanted = re.compile(r'todo_events_consumed_total\{.*"%s"\}' % outcome)
        return [value for name, program in list(self.cluster.kubelet.programs.items())
                if name.startswith(deployment) for key, value in program.metrics().items()
                if wanted.match(key)]

    def test_the_commands_do_what_the_document_says(self):
        run_document("operations.md", self.shell,
                     {"The moment before a risky step": self.before_the_moment,
                      "Restore to a point in time": self.after_the_moment,
                      "Upgrade": self.after_the_restore})


class Alerts(unittest.TestCase):
    def test_each_alert_of_the_chart_is_explained(self):
        rules = pathlib.Path(ROOT / "k8s/helm/todo-app/rules/todo-app.yaml").read_text("utf-8")
        there = set(re.findall(r"- alert: (\w+)", rules))
        told = set(re.findall(r"^\| `(Todo\w+)`", (ROOT / "docs/operations.md").read_text("utf-8"),
                              re.M))
        self.assertEqual(there, told)


if __name__ == "__main__":
    unittest.main()
