"""setup-dapr in a cluster: see its --help."""

import json
import os
import secrets

from .names import BROKER_SECRETS, PUBSUB
from .report import Failure

K8S = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHART = os.path.join(K8S, "helm", "todo-app")
REPOSITORY = "https://dapr.github.io/helm-charts"
# What a namespace with the pod security standard "restricted" asks of a sidecar; no other misses it.
CONTROL_PLANE = ("global.ha.enabled=true", "dapr_sidecar_injector.sidecarDropALLCapabilities=true")
AGENTS = ("statestore-agent", "mcpserver", "resiliency-agent")
MANIFESTS = ("config", "kubernetes-secrets", "statestore-postgres", "resiliency", "subscriptions")
NAMESPACE = "todo-phasev"  # in the files
ADDRESSES = {"kafka_brokers": f"kafka.{NAMESPACE}.svc.cluster.local:9092",
             "redis_host": f"redis.{NAMESPACE}.svc.cluster.local:6379"}
MAIL = ("SMTP_URL", "SMTP_USERNAME", "SMTP_PASSWORD")


class Installer:
    def __init__(self, cluster, arguments):
        self.cluster, self.arguments = cluster, arguments
        self.is_dry = getattr(arguments, "dry_run", False)

    def apply(self, text):
        words = ["--dry-run=server"] if self.is_dry else []
        return self.cluster.kubectl("apply", "--server-side", "--force-conflicts", *words, "-f", "-",
                                    stdin=text)

    def manifest(self, name):
        """A file of k8s/dapr with the addresses and the namespace of this cluster."""
        with open(os.path.join(K8S, "dapr", f"{name}.yaml"), encoding="utf-8") as f:
            text = f.read()
        for option, address in ADDRESSES.items():
            text = text.replace(address, getattr(self.arguments, option, None) or address)
        return text.replace(NAMESPACE, self.cluster.namespace)

    def set_up(self, report):
        with report.step("namespace") as entry:
            entry["found"] = self._namespace()
        with report.step("control plane", "it puts a sidecar into each pod") as entry:
            entry["found"] = self._control_plane()
        broker = self._broker()
        with report.step("secrets", "passwords and tokens stand nowhere else") as entry:
            entry["found"] = self._secrets(broker)
        with report.step("components", "what the sidecars are told") as entry:
            entry["found"] = self._components(broker)

    def _components(self, broker):
        agents = AGENTS if self.arguments.agents else ()
        if self.is_the_charts():
            told = f"are the chart's (dapr.resources): helm upgrade {self.cluster.release}"
            names = agents
        else:
            names = [*MANIFESTS, f"pubsub-{broker}", *agents]
            told = ""
        if names:
            self.apply("\n---\n".join(map(self.manifest, names)))
        return "; ".join(filter(None, (told, ", ".join(names))))

    def is_the_charts(self):
        """Whether Helm made them, with dapr.resources.create, and so would undo a change."""
        found = self.cluster.get("components.dapr.io", PUBSUB) or {"metadata": {}}
        labels = found["metadata"].get("labels", {})
        return labels.get("app.kubernetes.io/managed-by") == "Helm"

    def put_on(self, broker):
        """The component pubsub-kafka on this broker; sidecars see it when they start again."""
        if not self.is_the_charts():
            self.apply(self.manifest(f"pubsub-{broker}"))
            return
        values = {"dapr.resources.broker": broker, "kafka.brokers": self.arguments.kafka_brokers,
                  "dapr.resources.redisHost": self.arguments.redis_host}
        self.cluster.helm("upgrade", self.cluster.release, CHART, "--reuse-values", *(
            word for name, value in values.items() if value
            for word in ("--set-string", f"{name}={value}")))

    def _namespace(self):
        name = self.cluster.namespace
        if self.cluster.get("namespace", name):
            return f"{name} is there"
        if not self.is_dry:
            self.cluster.kubectl("create", "namespace", name)
        return f"{name} is made"

    def _control_plane(self):
        arguments, space = self.arguments, self.cluster.dapr_namespace
        if arguments.skip_control_plane:
            return "left alone"
        if self.cluster.get("deployment", "dapr-operator", namespace=space):
            return f"is there, in {space}"
        words = ["upgrade", "--install", "dapr", arguments.dapr_chart, "--version",
                 arguments.dapr_version, "--create-namespace", "--set", ",".join(CONTROL_PLANE)]
        if arguments.dapr_chart == "dapr":
            words += ["--repo", REPOSITORY]
        words += (["--dry-run=server"] if self.is_dry else
                  ["--wait", "--timeout", f"{arguments.timeout}s"])
        self.cluster.helm(*words, namespace=space)
        return f"Dapr {arguments.dapr_version} in {space}"

    def _broker(self):
        """What was asked for, else what is there."""
        if self.arguments.broker:
            return self.arguments.broker
        found = self.cluster.get("components.dapr.io", PUBSUB)
        return found["spec"]["type"].split(".")[1] if found else "kafka"

    def _secrets(self, broker):
        """Those that are there stay as they are."""
        env = os.environ
        known = {"dapr-api-token": {"token": secrets.token_hex(24)},
                 "app-api-token": {"token": secrets.token_hex(24)},
                 "todo-app-secrets": {"DATABASE_URL": env.get("DATABASE_URL"),
                                      "APP_API_TOKEN": secrets.token_hex(24),
                                      **{name: env[name] for name in MAIL if env.get(name)}}}
        name, keys = BROKER_SECRETS[broker]
        known[name] = {key: env.get(f"{broker}_{key}".upper()) for key in keys}
        made, unknown = [], []
        there = self.cluster.secrets()
        for name, values in known.items():
            if name in there:
                continue
            unset = [f"{broker}_{key}".upper() if key.islower() else key
                     for key, value in values.items() if not value]
            if unset:
                unknown.append(f"{name} (set {', '.join(unset)})")
            else:
                self._make_secret(name, values)
                made.append(name)
        if unknown:
            raise Failure(f"not there, and nothing to make them of: {'; '.join(unknown)}",
                          "set these in the environment, or make the secrets yourself; then again")
        return f"made: {', '.join(made)}" if made else "all are there"

    def _make_secret(self, name, values):
        """By standard input, so that no value stands in a command line."""
        words = ["--dry-run=server"] if self.is_dry else []
        self.cluster.kubectl("create", *words, "-f", "-", stdin=json.dumps({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": values}))

    def use_dapr(self, is_on, report):
        value = "true" if is_on else "false"
        with report.step("use-dapr", "a rollout: an old pod goes when a new one is ready",
                         limit_s=self.arguments.timeout) as entry:
            words = ["upgrade", self.cluster.release, CHART, "--reuse-values", "--set",
                     f"dapr.enabled={value}"]
            if self.is_dry:
                words += ["--dry-run=server"]
            elif not self.arguments.no_wait:
                words += ["--wait", "--timeout", f"{self.arguments.timeout}s"]
            self.cluster.helm(*words)
            entry["found"] = f"USE_DAPR={value}"
