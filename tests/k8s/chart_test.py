#!/usr/bin/env python3
"""The Helm chart as text: helm finds nothing to complain of, each file of values fits the schema and
the schema refuses what does not, and what is rendered says what the documents promise."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest

from chart import CHART, ROOT, VALUES, helm, of_kind, parse, part, render

COMPONENTS = {"backend": ("backend", 8000), "notification": ("notification-service", 8002),
              "email": ("email-delivery-service", 8003),
              "recurring": ("recurring-task-service", 8004)}


def pod_of(deployment):
    return deployment["spec"]["template"]["spec"]


def env_of(container):
    return {e["name"]: e for e in container["env"]}


class Chart(unittest.TestCase):
    def test_lint_finds_nothing(self):
        for values in VALUES:
            done = helm("lint", "--strict", CHART, "--values", f"{CHART}/{values}")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_schema_refuses_what_the_chart_would_not_understand(self):
        for wrong in ("dapr.enabled=maybe", "kafka.brokers=no-port", "components.email.replicas=-1",
                      "componets.email.replicas=1", "mail.taskUrlTemplate=https://x/none",
                      "existingSecret=Not_A_Name", "settings.lower=x",
                      "monitoring.serviceMonitor.interval=soon", "kafka.saslMechanism=GSSAPI"):
            done = helm("template", "t", CHART, "--kube-version", "1.34.1", "--set", wrong)
            self.assertNotEqual(done.returncode, 0, wrong)
            self.assertIn("schema", done.stderr, wrong)

    def test_every_component_is_deployed_with_its_port_and_app_id(self):
        deployments = of_kind(render("--set", "dapr.enabled=true"), "Deployment")
        self.assertEqual(len(deployments), len(COMPONENTS))
        for name, (app_id, port) in COMPONENTS.items():
            deployment = deployments[f"todo-app-{name}"]
            notes = deployment["spec"]["template"]["metadata"]["annotations"]
            self.assertEqual(notes["dapr.io/app-id"], app_id)
            self.assertEqual(notes["dapr.io/app-port"], str(port))
            self.assertEqual(notes["dapr.io/sidecar-memory-limit"], "256Mi")
            self.assertEqual(notes["dapr.io/sidecar-cpu-limit"], "200m")

    def dapr_resources(self, *words, chart=CHART):
        """{kind/name: object} that the chart makes, without its own labels."""
        objects = render("--set", "dapr.enabled=true", "--set", "dapr.resources.create=true",
                         *words, chart=chart)
        made = [o for o in objects if o["apiVersion"].startswith("dapr.io/")]
        for o in made:
            self.assertIn("app.kubernetes.io/instance", o["metadata"].pop("labels"))
        return {f"{o['kind']}/{o['metadata']['name']}": o for o in made}

    def test_daprs_resources_are_those_of_k8s_dapr_from_the_folder_and_from_the_package(self):
        with tempfile.TemporaryDirectory() as folder:
            done = helm("package", CHART, "--destination", folder, "--version", "9.9.9")
            self.assertEqual(done.returncode, 0, done.stderr)
            for broker in ("kafka", "redis"):
                files = {}
                for name in ("config", "kubernetes-secrets", f"pubsub-{broker}", "resiliency",
                             "statestore-postgres"):
                    with open(f"{ROOT}/k8s/dapr/{name}.yaml", encoding="utf-8") as f:
                        o, = parse(f.read())
                    files[f"{o['kind']}/{o['metadata']['name']}"] = o
                for chart in (CHART, f"{folder}/todo-app-9.9.9.tgz"):
                    made = self.dapr_resources("--set", f"dapr.resources.broker={broker}", chart=chart)
                    self.assertEqual(made, files)

    def test_daprs_resources_follow_the_values(self):
        def metadata(*words):
            made = self.dapr_resources(*words, "--set", "dapr.pubsubName=events")
            self.assertIn("events", made["Resiliency/events-resiliency"]["spec"]["targets"]["components"])
            return {m["name"]: m for m in made["Component/events"]["spec"]["metadata"]}
        tls = metadata("--values", f"{CHART}/values-prod.yaml", "--set", "kafka.existingSecret=mine")
        self.assertEqual(tls["brokers"]["value"], "kafka-bootstrap.kafka:9093")
        self.assertEqual(tls["disableTls"]["value"], "false")
        self.assertEqual(tls["saslMechanism"]["value"], "SHA-256")
        self.assertEqual(tls["saslPassword"]["secretKeyRef"]["name"], "mine")
        self.assertEqual(tls["caCert"]["secretKeyRef"], {"name": "kafka-ca", "key": "ca.crt"})
        plain = metadata("--set", "kafka.brokers=k:9092", "--set", "kafka.saslMechanism=")
        self.assertEqual(plain["authType"]["value"], "none")
        self.assertEqual(plain["disableTls"]["value"], "true")
        self.assertNotIn("saslPassword", plain)
        redis = metadata("--set", "dapr.resources.broker=redis", "--set",
                         "dapr.resources.redisHost=r:6379")
        self.assertEqual(redis["redisHost"]["value"], "r:6379")

    def test_every_secret_of_daprs_components_may_be_read_by_the_sidecars(self):
        for words in (("--values", f"{CHART}/values-prod.yaml"), ("--values", f"{CHART}/values-dev.yaml"),
                      ("--set", "dapr.resources.broker=redis")):
            objects = render("--set", "dapr.enabled=true", "--set", "dapr.resources.create=true", *words)
            rule, = of_kind(objects, "Role")["todo-app-dapr-secrets"]["rules"]
            named = {m["secretKeyRef"]["name"] for o in of_kind(objects, "Component").values()
                     for m in o["spec"]["metadata"] if "secretKeyRef" in m}
            self.assertGreater(len(named), 1)
            self.assertLessEqual(named, set(rule["resourceNames"]))

    def test_dapr_is_off_by_default_and_events_still_have_a_way(self):
        objects = render()
        config = of_kind(objects, "ConfigMap")["todo-app-config"]["data"]
        self.assertEqual(config["USE_DAPR"], "false")
        self.assertIn("todo-app-email:8003/events/reminder-sent", config["EVENT_SUBSCRIBERS"])
        for deployment in of_kind(objects, "Deployment").values():
            self.assertNotIn("dapr.io/enabled",
                             deployment["spec"]["template"]["metadata"]["annotations"])

    def test_one_value_changes_the_way_of_the_events(self):
        kafka = of_kind(render("--set", "kafka.brokers=k:9092"), "ConfigMap")["todo-app-config"]
        self.assertEqual(kafka["data"]["KAFKA_BROKERS"], "k:9092")
        self.assertNotIn("EVENT_SUBSCRIBERS", kafka["data"])
        both = render("--set", "kafka.brokers=k:9092", "--set", "dapr.enabled=true")
        dapr = of_kind(both, "ConfigMap")["todo-app-config"]["data"]
        self.assertEqual(dapr["USE_DAPR"], "true")
        self.assertNotIn("KAFKA_BROKERS", dapr)
        self.assertEqual(dapr["PUBSUB_NAME"], "pubsub-kafka")

    def test_nothing_runs_as_root_or_may_become_it(self):
        for values in VALUES:
            objects = render("--values", f"{CHART}/{values}")
            for kind in ("Deployment", "StatefulSet", "Job"):
                for name, o in of_kind(objects, kind).items():
                    pod = pod_of(o)
                    self.assertTrue(pod["securityContext"]["runAsNonRoot"], name)
                    self.assertEqual(pod["securityContext"]["seccompProfile"]["type"],
                                     "RuntimeDefault")
                    self.assertFalse(pod["automountServiceAccountToken"], name)
                    for c in pod["containers"]:
                        rights = c["securityContext"]
                        self.assertTrue(rights["readOnlyRootFilesystem"], name)
                        self.assertFalse(rights["allowPrivilegeEscalation"], name)
                        self.assertEqual(rights["capabilities"]["drop"], ["ALL"])
                        self.assertIn("memory", c["resources"]["limits"], name)

    def test_secrets_come_from_secrets(self):
        """As files, which change in place; those that a sidecar has too as environment."""
        words = ("--set", "kafka.brokers=k:9092")
        for deployment in of_kind(render(*words), "Deployment").values():
            files = self.secret_files(pod_of(deployment))
            self.assertLessEqual({"DATABASE_URL", "KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD",
                                  "APP_API_TOKEN"}, files)
        for deployment in of_kind(render("--set", "dapr.enabled=true"), "Deployment").values():
            env = env_of(pod_of(deployment)["containers"][0])
            for name in ("DAPR_API_TOKEN", "APP_API_TOKEN"):
                self.assertIn("secretKeyRef", env[name]["valueFrom"], name)
                self.assertNotIn(name, self.secret_files(pod_of(deployment)))
        job = next(iter(of_kind(render(), "Job").values()))
        self.assertEqual(self.secret_files(pod_of(job)), {"DATABASE_URL"})
        job = next(iter(of_kind(render("--set", "postgresql.enabled=true"), "Job").values()))
        self.assertEqual(self.secret_files(pod_of(job)), {"DATABASE_URL"})

    def secret_files(self, pod):
        """Those in SECRETS_DIR."""
        container = pod["containers"][0]
        mounts = {m["name"]: m["mountPath"] for m in container.get("volumeMounts", [])}
        self.assertEqual(env_of(container)["SECRETS_DIR"]["value"], mounts["secrets"])
        volume = next(v for v in pod["volumes"] if v["name"] == "secrets")
        return {item["path"] for source in volume["projected"]["sources"]
                for item in source["secret"]["items"]}

    def test_mails_secrets_are_the_email_workers_alone(self):
        for name, deployment in of_kind(render(), "Deployment").items():
            self.assertEqual("SMTP_URL" in self.secret_files(pod_of(deployment)),
                             name == "todo-app-email", name)

    def test_a_change_of_settings_is_a_rollout(self):
        def checksum(*words):
            deployment = of_kind(render(*words), "Deployment")["todo-app-backend"]
            return deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        self.assertEqual(checksum(), checksum())
        self.assertNotEqual(checksum(), checksum("--set", "settings.LOG_LEVEL=debug"))

    def test_a_session_stays_with_its_replica(self):
        for name, service in of_kind(render(), "Service").items():
            self.assertEqual(service["spec"].get("sessionAffinity") == "ClientIP",
                             name == "todo-app-backend", name)

    def test_the_ingress_shows_the_endpoint_and_nothing_else(self):
        objects = render("--values", f"{CHART}/values-prod.yaml")
        ingress = of_kind(objects, "Ingress")["todo-app-backend"]
        paths = [p["path"] for p in ingress["spec"]["rules"][0]["http"]["paths"]]
        self.assertEqual(paths, ["/mcp", "/.well-known"])

    def test_each_alert_fires_for_what_it_is_for(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(f"{CHART}/rules/todo-app.yaml", folder)
            shutil.copy(os.path.join(ROOT, "tests", "k8s", "rules_test.yaml"), folder)
            done = subprocess.run([part("promtool"), "test", "rules", "rules_test.yaml"], cwd=folder,
                                  check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True)
            self.assertEqual(done.returncode, 0, done.stdout)
            with open(f"{folder}/rules_test.yaml", encoding="utf-8") as f:
                tests = f.read()
        rules = of_kind(render("--values", f"{CHART}/values-prod.yaml"), "PrometheusRule")
        for group in rules["todo-app"]["spec"]["groups"]:
            for rule in group["rules"]:
                self.assertIn(f"alertname: {rule['alert']}\n", tests, "an alert without a test")
                self.assertIn("action", rule["annotations"])

    def test_the_dashboard_is_whole(self):
        objects = render("--values", f"{CHART}/values-prod.yaml")
        text = of_kind(objects, "ConfigMap")["todo-app-dashboard"]["data"]["todo-app.json"]
        self.assertGreater(len(json.loads(text)["panels"]), 10)


if __name__ == "__main__":
    unittest.main()
