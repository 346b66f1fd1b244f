#!/usr/bin/env python3
"""The operators' scripts on a real Kubernetes API server. It has no nodes, so nothing runs: what
setup-dapr makes is taken and stays, validate-dapr-deployment finds what is not there and claims nothing,
and the others end before they change anything."""

import json
import os
import sys
import types
import unittest
import unittest.mock

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "..", "k8s", "scripts")]
from scripts_case import ROOT, ScriptsCase  # noqa: E402
from stack import part  # noqa: E402
from stack.kube import ApiServer, Etcd  # noqa: E402
from todo_ops.cluster import CONTROL_PLANE, Cluster  # noqa: E402
from todo_ops.install import Installer  # noqa: E402

SPACE = "todo-phasev"
CHART = os.path.join(ROOT, "k8s", "helm", "todo-app")
SECRETS = {"DATABASE_URL": "postgresql://db/todo", "KAFKA_USERNAME": "todo",
           "KAFKA_PASSWORD": "never-shown", "REDIS_PASSWORD": "never-shown"}
KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet"}
STATIC = "secrets,components,resiliency"


class OnCluster(ScriptsCase):
    is_set_up = is_mended = False

    @classmethod
    def setUpClass(cls):
        cls.etcd = Etcd().start()
        cls.api = ApiServer(cls.etcd).start()
        cls.api.kubectl("apply", "--server-side", "-f", f"{part('crds')}/")
        cls.env = {"KUBECONFIG": cls.api.kubeconfig, "KUBECTL": part("kubectl"),
                   "HELM": part("helm"), "HOME": cls.api.folder, "DATABASE_URL": "",
                   "KAFKA_USERNAME": "", "KAFKA_PASSWORD": "", "REDIS_PASSWORD": ""}

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        cls.etcd.close()

    def setUp(self):
        """What a test breaks it mends."""
        if not self.is_set_up:
            self.set_up()
            OnCluster.is_set_up = True

    def set_up(self, *words, **kwargs):
        return self.script("setup-dapr", "--skip-control-plane", *words,
                           env={**SECRETS, **kwargs.pop("env", {})}, **kwargs)

    def get(self, *words, space=SPACE):
        return json.loads(self.api.kubectl("-n", space, "get", *words, "-o", "json").stdout)

    def install(self):
        self.api.helm("install", "todo", CHART, "-n", SPACE, "--set", "migration.enabled=false",
                      "--set", "kafka.brokers=k:9092")
        self.addCleanup(self.api.helm, "uninstall", "todo", "-n", SPACE)

    # ---- setup-dapr

    def test_what_it_makes_is_there_and_stays(self):
        before = {name: self.get("secret", name)["data"] for name in
                  ("todo-app-secrets", "kafka-secrets", "dapr-api-token", "app-api-token")}
        self.assertEqual(sorted(before["kafka-secrets"]), ["password", "username"])
        told = self.set_up(env=dict.fromkeys(SECRETS, ""))
        self.assertIn("all are there", told["checks"][2]["found"])
        self.assertEqual(before, {name: self.get("secret", name)["data"] for name in before})
        self.validate("--only", STATIC)

    def test_a_secret_that_nobody_gave_is_named(self):
        told = self.set_up("--namespace", "other", env=dict.fromkeys(SECRETS, ""), code=1)
        found = told["checks"][-1]["found"]
        self.assertEqual(told["failed"], ["secrets"])
        for word in ("todo-app-secrets", "DATABASE_URL", "KAFKA_USERNAME", "KAFKA_PASSWORD"):
            self.assertIn(word, found)

    def test_addresses_and_namespace_are_those_of_this_cluster(self):
        told = self.set_up("--namespace", "fourth", "--kafka-brokers", "kafka.data:9093")
        self.assertNotIn("never-shown", json.dumps(told))  # nor is any secret
        pubsub = self.get("components.dapr.io", "pubsub-kafka", space="fourth")
        settings = {s["name"]: s.get("value") for s in pubsub["spec"]["metadata"]}
        self.assertEqual(settings["brokers"], "kafka.data:9093")
        self.assertEqual(self.get("configurations.dapr.io", "dapr-config", space="fourth")
                         ["metadata"]["namespace"], "fourth")

    def test_what_agents_need_comes_when_asked_for(self):
        kinds = "components.dapr.io,mcpservers.dapr.io,resiliencies.dapr.io"

        def names():
            return {item["metadata"]["name"] for item in self.get(kinds, space="seventh")["items"]}

        self.set_up("--namespace", "seventh")
        agents = {"statestore-agent", "todo", "agent-resiliency"}
        self.assertFalse(agents & names())
        self.set_up("--namespace", "seventh", "--agents")
        self.assertLessEqual(agents, names())

    def test_the_control_plane_gives_sidecars_that_a_strict_namespace_takes(self):
        """Nothing runs here, so that it is not waited for in vain for long."""
        self.addCleanup(self.api.helm, "uninstall", "dapr", "-n", "strict")
        told = self.script("setup-dapr", "--dapr-namespace", "strict", "--timeout", "1",
                           "--dapr-chart", part("dapr-chart"), env=SECRETS, code=1)
        self.assertEqual(told["failed"], ["control plane"])
        injector = self.get("deployment", "dapr-sidecar-injector", space="strict")
        env = injector["spec"]["template"]["spec"]["containers"][0]["env"]
        self.assertIn({"name": "SIDECAR_DROP_ALL_CAPABILITIES", "value": "true"}, env)

    def test_a_dry_run_changes_nothing(self):
        self.api.kubectl("create", "namespace", "dry")
        self.set_up("--namespace", "dry", "--dry-run")
        self.assertEqual(self.get("components.dapr.io,secrets", space="dry")["items"], [])

    def test_the_broker_is_what_was_asked_for_and_then_what_is_there(self):
        self.set_up("--namespace", "fifth", "--broker", "redis")
        self.set_up("--namespace", "fifth")
        self.assertEqual(self.get("components.dapr.io", "pubsub-kafka", space="fifth")
                         ["spec"]["type"], "pubsub.redis")

    def test_dapr_is_turned_on_and_off(self):
        self.install()
        for option, value in (("--enable", "true"), ("--disable", "false")):
            self.script("setup-dapr", option, "--no-wait")
            data = self.get("configmap", "todo-app-config")["data"]
            self.assertEqual((data["USE_DAPR"], "KAFKA_BROKERS" in data),
                             (value, value == "false"))

    def test_components_of_the_chart_stay_the_charts(self):
        space, name = "sixth", "pubsub-kafka"
        self.api.helm("install", "todo", CHART, "-n", space, "--create-namespace", "--set",
                      "migration.enabled=false,dapr.enabled=true,dapr.resources.create=true")
        told = self.set_up("--namespace", space)
        self.assertIn("the chart's", told["checks"][3]["found"])
        with unittest.mock.patch.dict(os.environ, self.env):
            Installer(Cluster(self.arguments(space)), self.arguments(space)).put_on("redis")
        pubsub = self.get("components.dapr.io", name, space=space)
        settings = {s["name"]: s.get("value") for s in pubsub["spec"]["metadata"]}
        self.assertEqual((pubsub["spec"]["type"], settings["redisHost"]),
                         ("pubsub.redis", "redis.data:6379"))

    @staticmethod
    def arguments(space=SPACE):
        return types.SimpleNamespace(namespace=space, release="todo", context=None,
                                     dapr_namespace="dapr-system", kafka_brokers=None,
                                     redis_host="redis.data:6379")

    # ---- validate-dapr-deployment

    def test_what_does_not_run_is_not_claimed(self):
        self.install()
        self.script("setup-dapr", "--enable", "--no-wait")
        told = self.validate(code=1)
        self.assertEqual([c["name"] for c in told["checks"] if c["ok"]],
                         [*STATIC.split(","), "settings"])
        found = {c["name"]: c["found"] for c in told["checks"]}
        self.assertIn("dapr-operator (missing)", found["control-plane"])
        self.assertIn("backend has 0 of 2", found["programs"])
        self.assertIn("has no pod", found["sidecars"])

    def test_the_way_that_is_not_dapr_is_named(self):
        self.install()
        self.found_ill("settings", "backend: USE_DAPR is false")

    def test_a_control_plane_that_is_ready_or_not(self):
        self.api.kubectl("create", "namespace", "dapr-system")
        for name, kind in CONTROL_PLANE.items():
            labels = {"app": name}
            self.api.kubectl("-n", "dapr-system", "create", "-f", "-", stdin=json.dumps({
                "apiVersion": "apps/v1", "kind": KINDS[kind], "metadata": {"name": name},
                "spec": {"selector": {"matchLabels": labels}, "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "x", "image": "x"}]}}}}))
        self.found_ill("control-plane", "dapr-scheduler-server (0 of 1)")
        for name, kind in CONTROL_PLANE.items():
            self.api.kubectl("-n", "dapr-system", "patch", kind, name, "--subresource=status",
                             "--type=merge", "-p",
                             '{"status": {"replicas": 1, "readyReplicas": 1}}')
        self.validate("--only", "control-plane")
        for name, kind in CONTROL_PLANE.items():
            self.api.kubectl("-n", "dapr-system", "delete", kind, name)

    def patch(self, kind, name, operation):
        if not self.is_mended:
            self.addCleanup(self.set_up)
        self.is_mended = True
        self.api.kubectl("-n", SPACE, "patch", kind, name, "--type=json", "-p",
                         json.dumps([operation]))

    def test_a_secret_without_its_key(self):
        self.patch("secret", "kafka-secrets", {"op": "remove", "path": "/data/password"})
        self.addCleanup(self.api.kubectl, "-n", SPACE, "delete", "secret", "kafka-secrets")
        self.found_ill("secrets", "kafka-secrets: password")

    def test_components_that_are_wrong(self):
        pubsub, state = "pubsub-kafka", "statestore-postgres"
        self.patch("components.dapr.io", pubsub,
                   {"op": "replace", "path": "/spec/type", "value": "pubsub.in-memory"})
        self.found_ill("components", "pubsub.in-memory")
        self.set_up("--broker", "kafka")
        self.patch("components.dapr.io", pubsub, {"op": "replace", "path": "/scopes",
                                                  "value": ["backend"]})
        self.found_ill("components", "not for notification-service")
        self.patch("components.dapr.io", state, {"op": "replace", "path": "/spec/metadata",
                                                 "value": []})
        self.set_up()
        self.api.kubectl("-n", SPACE, "delete", "components.dapr.io", state)
        self.found_ill("components", f"there is no component {state}")

    def test_deliveries_that_are_given_up(self):
        name = "pubsub-kafka-resiliency"
        self.patch("resiliencies.dapr.io", name, {
            "op": "replace", "path": "/spec/policies/retries/until-taken/maxRetries", "value": 3})
        self.found_ill("resiliency", "after 3 tries")
        self.set_up()
        self.api.kubectl("-n", SPACE, "create", "-f", "-", stdin=json.dumps({
            "apiVersion": "dapr.io/v2alpha1", "kind": "Subscription", "metadata": {"name": "s"},
            "spec": {"pubsubname": "pubsub-kafka", "topic": "task-events",
                     "routes": {"default": "/x"}, "deadLetterTopic": "task-events-dlq"}}))
        self.addCleanup(self.api.kubectl, "-n", SPACE, "delete", "subscriptions.dapr.io", "s")
        self.found_ill("resiliency", "deadLetterTopic stands in s")

    # ---- the others

    def test_tests_of_what_does_not_run_change_nothing(self):
        self.install()
        before = self.get("components.dapr.io", "pubsub-kafka")["metadata"]["resourceVersion"]
        for name in ("test-infrastructure-swap", "test-simplified-operations",
                     "test-guaranteed-job-execution"):
            told = self.script(name, code=1)
            self.assertEqual(told["failed"], ["before"])
        after = self.get("components.dapr.io", "pubsub-kafka")["metadata"]["resourceVersion"]
        self.assertEqual(before, after)
        self.assertEqual(self.get("deployment", "todo-app-notification")["spec"]["replicas"], 2)

    def test_the_pod_that_runs_psql_is_accepted(self):
        self.install()
        with unittest.mock.patch.dict(os.environ, self.env):
            pod = Cluster(self.arguments()).psql_pod("select $$x$$", "postgres:15")
        self.assertEqual(pod["spec"]["containers"][0]["command"][-1], "select $$$$x$$$$")
        self.api.kubectl("-n", SPACE, "create", "--dry-run=server", "-f", "-",
                         stdin=json.dumps(pod))

    def test_without_a_cluster_or_its_namespace_nothing_is_claimed(self):
        told = self.script("validate-dapr-deployment", code=2,
                           env={"KUBECONFIG": "/nonexistent"})
        self.assertIn("refused", told)
        told = self.script("validate-dapr-deployment", "--namespace", "nowhere", code=2)
        self.assertIn("no namespace nowhere", told)


if __name__ == "__main__":
    unittest.main()
