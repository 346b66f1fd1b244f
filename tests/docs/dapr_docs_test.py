"""docs/DAPR_MIGRATION_RUNBOOK.md and docs/DAPR_GUIDE.md: their commands are run, the guide's in the
time between the runbook's turning Dapr on and its rolling back."""

import json
import os
import re
import shlex
import unittest

from commands import ROOT, Shell, run_document
from places import SPACE, Caller, Cluster, DatabaseHost, make_key

from stack import SCRAM_PASSWORD, SCRAM_USER, Kafka, Redis, Scheduler, SmtpSink
from todo_server import wait_for

CONTROL_PLANE = {"dapr-operator": "Deployment", "dapr-sentry": "Deployment",
                 "dapr-sidecar-injector": "Deployment", "dapr-scheduler-server": "StatefulSet"}


class Dapr(unittest.TestCase):
    def setUp(self):
        self.host = self.open(DatabaseHost())
        self.kafka = Kafka(sasl=True)
        self.addCleanup(self.kafka.close)
        self.kafka.start(wait=False)
        self.redis = self.open(Redis().start())
        self.smtp = self.open(SmtpSink().start())
        self.scheduler = self.open(Scheduler())
        self.scheduler.start(wait=False)
        self.cluster = self.open(Cluster(self.scheduler))
        self.kafka.wait_ready()
        self.scheduler.wait_ready()
        self.make_control_plane()
        self.env = {**self.host.env, **self.cluster.env, "KAFKA_USERNAME": SCRAM_USER,
                    "KAFKA_PASSWORD": SCRAM_PASSWORD, "KAFKA_BROKERS": self.kafka.sasl_brokers,
                    "KAFKA_ADMIN": self.kafka.brokers, "REDIS_HOST": self.redis.address,
                    "REDIS_PASSWORD": "",
                    "DATABASE": f"/todo?host={self.host.folder}"}
        self.tools = {**self.cluster.tools, "kafka-configs.sh": self.kafka_configs()}
        self.install()
        self.say_that_it_runs()

    def open(self, thing):
        self.addCleanup(thing.close)
        return thing

    def make_control_plane(self):
        """What Dapr's chart makes and no program here stands for; the scheduler is a real one."""
        api = self.cluster.api
        api.kubectl("create", "namespace", "dapr-system")
        for name, kind in CONTROL_PLANE.items():
            labels = {"app": name}
            api.kubectl("-n", "dapr-system", "create", "-f", "-", stdin=json.dumps({
                "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
                "spec": {"selector": {"matchLabels": labels}, "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "x", "image": "x"}]}}}}))

    def say_that_it_runs(self):
        api = self.cluster.api
        pods = wait_for(lambda: (names := api.kubectl("-n", "dapr-system", "get", "pods", "-o",
                                                      "name").stdout.split())[3:] and names, 60,
                        "the control plane's Pods")
        ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        for name in pods:
            api.kubectl("-n", "dapr-system", "patch", name, "--subresource=status", "--type=merge",
                        "-p", json.dumps(ready))

    def kafka_configs(self):
        """Kafka's own script of this name, as its distribution has it."""
        path = os.path.join(self.kafka.folder, "kafka-configs.sh")
        with open(path, "w", encoding="utf-8") as f:
            words = shlex.join([*self.kafka.java(), "kafka.admin.ConfigCommand"])
            f.write(f'#!/bin/sh\nexec {words} "$@"\n')
        os.chmod(path, 0o755)
        return path

    def install(self):
        """What docs/operations.md ends with, one replica of each program."""
        api = self.cluster.api
        api.kubectl("create", "namespace", SPACE)
        for name, values in (("todo-app-secrets", {"DATABASE_URL": self.host.url,
                                                   "SMTP_URL": self.smtp.url}),
                             ("kafka-secrets", {"username": SCRAM_USER,
                                                "password": SCRAM_PASSWORD})):
            api.kubectl("-n", SPACE, "create", "secret", "generic", name,
                        *(f"--from-literal={key}={value}" for key, value in values.items()))
        replicas = [f"components.{name}.replicas=1" for name in
                    ("backend", "notification", "email", "recurring")]
        api.helm("install", "todo", str(ROOT / "k8s" / "helm" / "todo-app"), "-n", SPACE, "--set",
                 ",".join([f"kafka.brokers={self.kafka.sasl_brokers}", *replicas]), "--wait",
                 "--timeout", "2m")
        self.key = make_key(self.host.url)
        self.rounds = 0

    def round(self):
        """What a user does: the next task of a series comes, whatever carries its event."""
        self.rounds += 1
        title = f"series {self.rounds}"
        caller = Caller(self.cluster.program("todo-app-backend").port, self.key)
        task = caller.call("add_task", title=title, due_date="2030-01-31T09:00:00Z",
                           recurrence_rule="FREQ=DAILY")
        caller.call("complete_task", task_id=task["id"])
        caller.close()
        wait_for(lambda: self.successors(title) == 1, 60, f"the successor of {title}")

    def successors(self, title):
        return int(self.host.value("select count(*) from todo.tasks where not completed and"
                                   f" title = '{title}'"))

    def run_guide(self):
        self.round()
        shell = self.open(Shell(self.tools, self.env))
        run_document("DAPR_GUIDE.md", shell, {"From a broker to another": self.round})
        self.round()

    def test_the_commands_do_what_the_documents_say(self):
        self.round()
        shell = self.open(Shell(self.tools, self.env))
        run_document("DAPR_MIGRATION_RUNBOOK.md", shell, {"Roll back": self.run_guide})
        self.round()
        self.assertEqual([self.successors(f"series {n + 1}") for n in range(self.rounds)],
                         [1] * self.rounds)
        self.assertEqual(self.host.value("select count(*) from todo.dead_letters"), "0")


class Complete(unittest.TestCase):
    """What the files have the documents name."""

    guide = (ROOT / "docs" / "DAPR_GUIDE.md").read_text("utf-8")

    def test_the_guide_has_each_value_of_the_chart(self):
        lines = (ROOT / "k8s/helm/todo-app/values.yaml").read_text("utf-8").splitlines()
        begin = lines.index("dapr:")
        names = []
        for line in lines[begin + 1:]:
            if not line.startswith(" "):
                break
            if found := re.match(r" +(\w+):", line):
                names.append(found[1])
        self.assertGreater(len(names), 8)
        self.assertEqual([n for n in names if not re.search(rf"\b{n}\b", self.guide)], [])

    def test_the_guide_has_each_setting_of_a_component(self):
        for path in (ROOT / "k8s" / "dapr").glob("*.yaml"):
            if "agent" in path.name:  # docs/dapr.md's
                continue
            for name in re.findall(r"^    - name: (\w+)$", path.read_text("utf-8"), re.M):
                self.assertIn(f"`{name}`", self.guide, path.name)

    def test_the_runbook_has_each_trigger(self):
        rules = (ROOT / "k8s/helm/todo-app/rules/todo-app.yaml").read_text("utf-8")
        there = {rule.split()[0] for rule in rules.split("- alert: ")[1:]
                 if "trigger: rollback" in rule}
        book = (ROOT / "docs" / "DAPR_MIGRATION_RUNBOOK.md").read_text("utf-8")
        self.assertEqual(there, set(re.findall(r"^\|.*\| `(Todo\w+)` \|", book, re.M)))


if __name__ == "__main__":
    unittest.main()
