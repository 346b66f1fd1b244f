#!/usr/bin/env python3
"""The chart on a real Kubernetes API server: every object is taken by server-side validation, with
the definitions of Dapr, KEDA, the Gateway API and the Prometheus operator in place; Deployments
become Pods; an upgrade, a rollback and a removal do what they say."""

import glob
import json
import unittest

from chart import ALL_ON, CHART, part
from stack.kube import ApiServer, ControllerManager, Etcd
from todo_server import wait_for

SPACE = "todo-phasev"


class Cluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.etcd = Etcd().start()
        cls.api = ApiServer(cls.etcd).start()
        cls.manager = ControllerManager(cls.api).start(wait=False)
        for path in sorted(glob.glob(f"{part('crds')}/*.yaml")):
            cls.api.kubectl("apply", "--server-side", "-f", path)
        cls.api.kubectl("create", "namespace", SPACE)

    @classmethod
    def tearDownClass(cls):
        for process in (cls.manager, cls.api, cls.etcd):
            process.close()

    def get(self, kind, *words):
        out = self.api.kubectl("-n", SPACE, "get", kind, "-o", "json", *words).stdout
        return json.loads(out)

    def install(self, command, *words):
        # Jobs never end without nodes, so the hook is left out; chart_test looks at it.
        return self.api.helm(command, "todo", CHART, "-n", SPACE, "--set",
                             "migration.enabled=false", *words)

    def tearDown(self):
        self.api.helm("uninstall", "todo", "-n", SPACE, "--ignore-not-found")

    def test_every_object_of_each_values_file_is_accepted(self):
        for values in ("values.yaml", "values-dev.yaml", "values-prod.yaml"):
            for more in ((), ALL_ON):
                words = ("--values", f"{CHART}/{values}", "--set", "kafka.brokers=k:9092", *more)
                self.install("install", *words)
                self.assertEqual(len(self.get("deployments")["items"]), 4)
                self.api.helm("uninstall", "todo", "-n", SPACE)

    def test_the_migration_job_is_accepted(self):
        text = self.api.helm("template", "todo", CHART, "-n", SPACE, "--kube-version",
                             "1.34.1", "--show-only", "templates/migration.yaml").stdout
        self.api.kubectl("-n", SPACE, "apply", "--dry-run=server", "-f", "-", stdin=text)

    def test_deployments_become_pods(self):
        self.install("install", "--values", f"{CHART}/values-dev.yaml")
        pods = wait_for(lambda: self.get("pods")["items"], 60, "pods")
        wait_for(lambda: len(self.get("pods", "-l", "app.kubernetes.io/component=email")["items"]),
                 60, "the email worker's pod")
        self.assertTrue(all(p["spec"]["securityContext"]["runAsNonRoot"] for p in pods))

    def test_an_upgrade_changes_and_a_rollback_restores(self):
        def use_dapr():
            return self.get("configmap", "todo-app-config")["data"]["USE_DAPR"]
        self.install("install")
        self.assertEqual(use_dapr(), "false")
        self.install("upgrade", "--set", "dapr.enabled=true")
        self.assertEqual(use_dapr(), "true")
        self.api.helm("rollback", "todo", "1", "-n", SPACE)
        self.assertEqual(use_dapr(), "false")

    def test_a_removal_leaves_nothing(self):
        self.install("install", "--values", f"{CHART}/values-prod.yaml")
        self.api.helm("uninstall", "todo", "-n", SPACE)
        kinds = ("deployments,services,configmaps,networkpolicies,poddisruptionbudgets,ingresses,"
                 "horizontalpodautoscalers,serviceaccounts")
        left = [o["metadata"]["name"] for o in
                self.get(kinds, "-l", "app.kubernetes.io/instance=todo")["items"]]
        self.assertEqual(left, [])

    def test_the_programs_may_ask_the_cluster_for_nothing(self):
        self.install("install")
        who = f"system:serviceaccount:{SPACE}:todo-app-sa"
        for verb, what in (("get", "secrets"), ("list", "pods"), ("create", "pods"),
                           ("get", "configmaps"), ("update", "deployments.apps")):
            answer = self.api.kubectl("-n", SPACE, "auth", "can-i", verb, what, "--as", who,
                                      check=False)
            self.assertEqual(answer.stdout.strip(), "no", f"{verb} {what}")


if __name__ == "__main__":
    unittest.main()
