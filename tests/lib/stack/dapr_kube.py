"""Dapr in a cluster (kube.ApiServer): its own chart installed, and the two programs of it that give
Deployments their sidecars run for real, with the rights of their service accounts and no more: sentry,
which signs, and the injector, whom the API server asks about each new Pod by mutual TLS."""

import json
import os

from .dapr import Sentry, _Healthy
from .process import part

SPACE = "dapr-system"
DOMAIN = "cluster.local"
VALUES = ("--set", "global.tag=1.18.1", "--set", "dapr_scheduler.cluster.inMemoryStorage=true",
          # As docs have it: without it a namespace that enforces "restricted" takes no sidecar.
          "--set", "dapr_sidecar_injector.sidecarDropALLCapabilities=true")


def _in_cluster(program):
    """What a Pod's environment has. As root Dapr would not start there."""
    program.env |= {"NAMESPACE": SPACE, "KUBERNETES_SERVICE_HOST": "in-a-cluster",
                    "DAPR_UNSAFE_SKIP_CONTAINER_UID_GID_CHECK": "true"}


class ClusterSentry(Sentry):
    """Its authority is the Secret and the ConfigMap dapr-trust-bundle; who asks shows a Pod's token."""

    def __init__(self, server, **kwargs):
        super().__init__(**kwargs)
        self.server = server
        _in_cluster(self)

    def command(self):
        words = super().command()
        for name, value in (("--config", "daprsystem"), ("--mode", "kubernetes"),
                            ("--trust-domain", DOMAIN)):
            words[words.index(name) + 1] = value
        return [*words, "--kubeconfig", self.server.config_of("dapr-sentry", SPACE)]


class Injector(_Healthy):
    """Puts the sidecar into Pods. It listens on all addresses, whatever it is told."""

    name = "injector"
    port_names = ("https", "health", "metrics")

    def __init__(self, server, sentry, **kwargs):
        super().__init__(**kwargs)
        self.server, self.sentry = server, sentry
        _in_cluster(self)

    def _write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def command(self):
        kubectl = self.server.kubectl
        deployed = json.loads(kubectl("-n", SPACE, "get", "deployment", "dapr-sidecar-injector",
                                      "-o", "json").stdout)["spec"]["template"]["spec"]
        settings = {e["name"]: e["value"] for e in deployed["containers"][0]["env"] if "value" in e}
        bundle = json.loads(kubectl("-n", SPACE, "get", "configmap", "dapr-trust-bundle", "-o",
                                    "json").stdout)["data"]["ca.crt"]
        pod = kubectl("-n", SPACE, "get", "pods", "-l", "app=dapr-sidecar-injector", "-o",
                      "jsonpath={.items[0].metadata.name}").stdout
        token = kubectl("-n", SPACE, "create", "token", "dapr-injector", "--audience",
                        f"spiffe://{DOMAIN}/ns/{SPACE}/dapr-sentry", "--bound-object-kind", "Pod",
                        "--bound-object-name", pod).stdout.strip()
        self.env |= settings | {"DAPR_SENTRY_ADDRESS": self.sentry.address,
                                "DAPR_TRUST_ANCHORS_FILE": self._write("ca.crt", bundle),
                                "DAPR_SENTRY_TOKEN_FILE": self._write("token", token)}
        return [part("injector"), "--kubeconfig", self.server.config_of("dapr-injector", SPACE),
                "--port", str(self.port), "--healthz-port", str(self.ports["health"]),
                "--healthz-listen-address", "127.0.0.1",
                "--metrics-port", str(self.ports["metrics"]),
                "--metrics-listen-address", "127.0.0.1"]

    def start(self, wait=True):
        super().start(wait)
        # The API server looks for the Service of the webhook, and this leads it here; the certificate
        # has to be that of the Service's name all the same.
        kubectl = self.server.kubectl
        kubectl("-n", SPACE, "patch", "service", "dapr-sidecar-injector", "--type", "merge", "-p",
                json.dumps({"spec": {"type": "ExternalName", "externalName": "localhost",
                                     "clusterIP": None, "clusterIPs": None}}))
        kubectl("patch", "mutatingwebhookconfiguration", "dapr-sidecar-injector", "--type", "json", "-p",
                json.dumps([{"op": "add", "path": "/webhooks/0/clientConfig/service/port",
                             "value": self.port},
                            # A Pod without its sidecar is no Pod.
                            {"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Fail"}]))
        return self


class ControlPlane:
    """All of it; needs nodes."""

    def __init__(self, server):
        server.helm("install", "dapr", part("dapr-chart"), "-n", SPACE, "--create-namespace",
                    "--skip-crds", "--wait", "--timeout", "60s", *VALUES)
        self.sentry = ClusterSentry(server).start()
        self.injector = Injector(server, self.sentry).start()

    def close(self):
        for program in (self.injector, self.sentry):
            program.close()
