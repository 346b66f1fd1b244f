#!/usr/bin/env python3
"""The chart in a cluster whose parts are real but for the nodes: API server, controllers, scheduler and
Dapr's injector with its sentry; the nodes are kwok's. The namespace takes only what the strictest pod
security standard allows, and whoever makes a Pod does so with its own rights."""

import glob
import json
import unittest

from chart import ALL_ON, CHART, VALUES, manifest, part
from stack.dapr_kube import ControlPlane
from stack.kube import ApiServer, ControllerManager, Etcd, Nodes, Scheduler
from todo_server import wait_for

SPACE = "todo-phasev"
ACCOUNT = f"system:serviceaccount:{SPACE}:todo-app-sa"
APPS = {"backend": ("backend", "8000"), "notification": ("notification-service", "8002"),
        "email": ("email-delivery-service", "8003"), "recurring": ("recurring-task-service", "8004")}
DAPR_ON = ("--set", "dapr.enabled=true")
SECRETS = ("todo-app-secrets", "kafka-secrets", "kafka-ca", "redis-secrets")
API_ACCESS = "/var/run/secrets/kubernetes.io/serviceaccount"


def named(things):
    return {t["name"]: t for t in things}


class Cluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.etcd = Etcd().start()
        cls.api = ApiServer(cls.etcd, accounts=True).start()
        cls.running = [cls.etcd, cls.api]
        for process in (ControllerManager, Scheduler, Nodes):
            cls.running.append(process(cls.api).start(wait=False))
        words = [w for path in sorted(glob.glob(f"{part('crds')}/*.yaml")) for w in ("-f", path)]
        cls.api.kubectl("apply", "--server-side", *words)
        cls.running.append(ControlPlane(cls.api))
        cls.api.kubectl("create", "namespace", SPACE)
        cls.api.kubectl("label", "namespace", SPACE, "pod-security.kubernetes.io/enforce=restricted")

    @classmethod
    def tearDownClass(cls):
        for process in reversed(cls.running):
            process.close()

    def setUp(self):
        wait_for(lambda: not self.get("pods")["items"], 60, "the end of the test before")
        self.addCleanup(self.api.helm, "uninstall", "todo", "-n", SPACE, "--ignore-not-found")

    def get(self, kind, *words):
        return json.loads(self.api.kubectl("-n", SPACE, "get", kind, "-o", "json", *words).stdout)

    def install(self, command, *words):
        """Waits for the migration's Job and for every Pod to be ready."""
        return self.api.helm(command, "todo", CHART, "-n", SPACE, "--wait", "--timeout", "60s", *words)

    def install_objects(self, *words):
        """Where what comes of them does not matter."""
        self.api.helm("install", "todo", CHART, "-n", SPACE, "--no-hooks", *words)

    def pods(self, component):
        """Those that are not on their way out."""
        found = self.get("pods", "-l", f"app.kubernetes.io/component={component}")["items"]
        return [p for p in found if "deletionTimestamp" not in p["metadata"]]

    def may(self, verb, what, *words):
        done = self.api.kubectl("-n", SPACE, "auth", "can-i", verb, what, "--as", ACCOUNT, *words,
                                check=False)
        return {"yes": True, "no": False}[done.stdout.strip()]

    def test_every_object_of_each_values_file_is_accepted_to_the_last_field(self):
        for values in VALUES:
            for more in ((), (*ALL_ON, "--set", "dapr.resources.create=true")):
                text = manifest("--values", f"{CHART}/{values}", *more)
                taken = self.api.kubectl("-n", SPACE, "apply", "--server-side", "--dry-run=server",
                                         "--validate=strict", "-f", "-", stdin=text).stdout
                self.assertEqual(taken.count("\n"), text.count("\nkind: "), taken)

    def test_a_field_that_does_not_exist_is_not(self):
        text = manifest("--set", "ingress.enabled=true", "--set", "ingress.className=nginx")
        for right, wrong in (("ingressClassName", "className"), ("readinessProbe:", "readyProbe:")):
            self.assertIn(right, text)
            done = self.api.kubectl("-n", SPACE, "apply", "--server-side", "--dry-run=server",
                                    "--validate=strict", "-f", "-", check=False,
                                    stdin=text.replace(right, wrong))
            self.assertIn("field not declared in schema", done.stderr)

    def test_production_with_everything_on_runs_may_be_drained_and_goes_without_a_trace(self):
        self.install("install", "--values", f"{CHART}/values-prod.yaml", *ALL_ON,
                     "--set", "dapr.resources.create=true")
        # KEDA is not there to count, so it is one Pod of email and of recurring.
        for component, count in (("backend", 3), ("notification", 3)):
            wait_for(lambda c=component, n=count: len(self.pods(c)) == n or self.scale(c, n), 30,
                     f"{count} Pods of {component}")
            wait_for(lambda c=component: self.get("pdb", f"todo-app-{c}")["status"].get(
                "disruptionsAllowed") == 1, 30, f"the budget of {component}")
        self.assertEqual(len(self.get("components.dapr.io")["items"]), 3)
        self.assertEqual(len(self.get("networkpolicies")["items"]), 4)
        self.api.helm("uninstall", "todo", "-n", SPACE)
        kinds = self.api.kubectl("api-resources", "--namespaced", "--verbs=list", "-o",
                                 "name").stdout.split()
        kinds = ",".join(k for k in kinds if not k.startswith("events"))

        def is_empty():
            left = self.api.kubectl("-n", SPACE, "get", kinds, "-o", "name").stdout.split()
            return set(left) - {"configmap/kube-root-ca.crt"} == {"serviceaccount/default"}
        wait_for(is_empty, 30, "an empty namespace")

    def install_dev(self, *words):
        """With the database of the chart, which needs a volume that no provisioner makes here."""
        volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "dev"},
                  "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                           "hostPath": {"path": "/nowhere"}}}
        self.api.kubectl("apply", "-f", "-", stdin=json.dumps(volume))

        self.addCleanup(self.clean_dev)
        self.install("install", "--values", f"{CHART}/values-dev.yaml", *words)

    def clean_dev(self):
        """What an uninstall keeps."""
        self.api.helm("uninstall", "todo", "-n", SPACE, "--wait")
        self.api.kubectl("-n", SPACE, "delete", "--ignore-not-found", "secret/todo-app-postgresql",
                         "pvc/data-todo-app-postgresql-0")
        self.api.kubectl("delete", "--ignore-not-found", "pv", "dev")

    def scale(self, component, count):
        """What a HorizontalPodAutoscaler does that sees no metrics: nothing. So it is done for it."""
        self.api.kubectl("-n", SPACE, "scale", f"deployment/todo-app-{component}",
                         f"--replicas={count}")

    def test_each_pod_has_the_sidecar_that_it_asks_for(self):
        self.install_dev(*DAPR_ON)
        for component, (app_id, port) in APPS.items():
            pod, = self.pods(component)
            with self.subTest(component):
                containers = named(pod["spec"]["containers"])
                self.assertEqual(set(containers), {component, "daprd"})
                self.assertEqual(pod["status"]["phase"], "Running")
                self.check_sidecar(containers["daprd"], app_id, port)
                self.check_api_access(pod["spec"], containers[component], containers["daprd"])
        self.assertEqual([len(p["spec"]["containers"]) for p in self.pods("postgresql")], [1])

    def test_the_charts_database_keeps_its_password_over_an_upgrade(self):
        quick = ("--values", f"{CHART}/values-dev.yaml")
        self.install_objects(*quick)
        self.addCleanup(self.clean_dev)
        secret = self.get("secret", "todo-app-postgresql")["data"]
        self.api.helm("upgrade", "todo", CHART, "-n", SPACE, "--no-hooks", *quick)
        self.assertEqual(self.get("secret", "todo-app-postgresql")["data"], secret)
        self.assertEqual(set(secret), {"password", "DATABASE_URL"})

    def check_sidecar(self, sidecar, app_id, port):
        words = sidecar["args"]
        said = {w: words[i + 1] for i, w in enumerate(words[:-1]) if w.startswith("--")}
        for flag, value in (("--app-id", app_id), ("--app-port", port), ("--app-protocol", "http"),
                            ("--config", "dapr-config"), ("--dapr-http-port", "3500"),
                            ("--dapr-listen-addresses", "[::1],127.0.0.1"),
                            ("--dapr-graceful-shutdown-seconds", "20"),
                            ("--dapr-block-shutdown-duration", "5s"),
                            ("--app-health-check-path", "/readyz"), ("--mode", "kubernetes"),
                            ("--metrics-port", "9090")):
            self.assertEqual(said.get(flag), value, flag)
        for flag in ("--enable-mtls", "--enable-app-health-check", "--log-as-json",
                     "--disable-builtin-k8s-secret-store"):
            self.assertIn(flag, words)
        self.assertIn("scheduler", said["--scheduler-host-address"])
        self.assertEqual(sidecar["resources"], {"limits": {"cpu": "200m", "memory": "256Mi"},
                                                "requests": {"cpu": "50m", "memory": "128Mi"}})
        env = named(sidecar["env"])
        for name, secret in (("DAPR_API_TOKEN", "dapr-api-token"), ("APP_API_TOKEN", "app-api-token")):
            self.assertEqual(env[name]["valueFrom"]["secretKeyRef"], {"key": "token", "name": secret})
        self.assertEqual(env["NAMESPACE"]["value"], SPACE)
        self.assertIn("BEGIN CERTIFICATE", env["DAPR_TRUST_ANCHORS"]["value"])
        rights = sidecar["securityContext"]
        self.assertTrue(rights["readOnlyRootFilesystem"])
        self.assertTrue(rights["runAsNonRoot"])
        self.assertFalse(rights["allowPrivilegeEscalation"])
        self.assertEqual(rights["capabilities"], {"drop": ["ALL"]})

    def check_api_access(self, spec, app, sidecar):
        """The sidecar has a token for the API server, the application has none."""
        self.assertFalse(spec["automountServiceAccountToken"])
        self.assertEqual(spec["serviceAccountName"], "todo-app-sa")
        mounts = {m["mountPath"]: m for m in sidecar["volumeMounts"]}
        self.assertEqual(mounts[API_ACCESS]["name"], "kube-api-access")
        self.assertTrue(mounts[API_ACCESS]["readOnly"])
        self.assertNotIn("kube-api-access", named(app["volumeMounts"]))
        tokens = [v for v in spec["volumes"] if any("serviceAccountToken" in source for source in
                                                    v.get("projected", {}).get("sources", []))]
        self.assertEqual([t["name"] for t in tokens], ["kube-api-access"])
        # Each knows the other's token.
        for name in ("DAPR_API_TOKEN", "APP_API_TOKEN"):
            self.assertEqual(named(app["env"])[name], named(sidecar["env"])[name])

    def test_an_upgrade_rolls_the_pods_and_a_rollback_brings_them_back(self):
        self.install("install")
        before = {p["metadata"]["name"] for p in self.pods("backend")}
        self.assertEqual(len(before), 2)
        for command, use_dapr, containers in (
                (("upgrade", *DAPR_ON), "true", 2), (("rollback",), "false", 1)):
            if command[0] == "rollback":
                self.api.helm("rollback", "todo", "1", "-n", SPACE, "--wait", "--timeout", "60s")
            else:
                self.install(*command)
            self.assertEqual(self.get("configmap", "todo-app-config")["data"]["USE_DAPR"], use_dapr)
            for component in APPS:
                wait_for(lambda c=component, n=containers: [
                    len(p["spec"]["containers"]) for p in self.pods(c)] == [n, n], 30,
                    f"the Pods of {component}")
        self.assertFalse(before & {p["metadata"]["name"] for p in self.pods("backend")})
        self.assertEqual(self.get("roles")["items"], [])

    def test_an_upgrade_whose_migration_does_not_get_done_changes_nothing(self):
        self.install("install")
        # The Job of a hook that failed stays for whoever asks why.
        self.addCleanup(self.api.kubectl, "-n", SPACE, "delete", "job/todo-app-migrate")
        done = self.api.helm("upgrade", "todo", CHART, "-n", SPACE, "--timeout", "4s", *DAPR_ON,
                             "--set", "nodeSelector.nowhere=here", check=False)
        self.assertIn("pre-upgrade hooks failed", done.stderr)
        self.assertEqual(self.get("configmap", "todo-app-config")["data"]["USE_DAPR"], "false")
        self.assertEqual([len(p["spec"]["containers"]) for p in self.pods("backend")], [1, 1])

    def test_the_programs_may_ask_the_cluster_for_nothing(self):
        self.install_objects()
        accounts = self.get("serviceaccounts")["items"]
        self.assertEqual({a["metadata"]["name"] for a in accounts}, {"default", "todo-app-sa"})
        stranger = f"system:serviceaccount:{SPACE}:nobody"
        for account in ("default", "todo-app-sa"):
            self.assertEqual(self.rights(f"system:serviceaccount:{SPACE}:{account}"),
                             self.rights(stranger), account)

    def rights(self, who):
        said = self.api.kubectl("-n", SPACE, "auth", "can-i", "--list", "--as", who).stdout
        return {" ".join(line.split()) for line in said.splitlines()[1:]}

    def test_sidecars_may_read_the_secrets_of_their_components_and_nothing_else(self):
        self.install_objects("--values", f"{CHART}/values-prod.yaml", *DAPR_ON)
        for name in SECRETS:
            self.assertTrue(self.may("get", f"secrets/{name}"), name)
            self.assertFalse(self.may("update", f"secrets/{name}"), name)
            self.assertFalse(self.may("get", f"secrets/{name}", "-n", "dapr-system"), name)
        for verb, what in (("list", "secrets"), ("get", "secrets/dapr-api-token"), ("get", "configmaps"),
                           ("list", "pods"), ("create", "pods"), ("create", "pods/exec"),
                           ("update", "deployments.apps"), ("get", "components.dapr.io"),
                           ("create", "serviceaccounts/token"), ("impersonate", "users"),
                           ("escalate", "roles")):
            self.assertFalse(self.may(verb, what), f"{verb} {what}")
        more = self.rights(ACCOUNT) - self.rights(f"system:serviceaccount:{SPACE}:nobody")
        self.assertEqual(more, {f"secrets [] [{name}] [get]" for name in SECRETS})


if __name__ == "__main__":
    unittest.main()
