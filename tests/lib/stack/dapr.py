"""Dapr's programs: the sidecar, the scheduler of its jobs, placement and sentry."""

import os
import urllib.error
import urllib.request

from .components import NAMESPACE
from .process import Process, part


def http_status(url, timeout=2, headers=None, method="GET", body=None):
    """The status of a request, or 0 where none came."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class _Healthy(Process):
    """With a port of its own that says how it is."""

    health_path = "/healthz"

    def is_ready(self):
        return http_status(f"http://127.0.0.1:{self.ports['health']}{self.health_path}") == 200


class Scheduler(_Healthy):
    """Keeps the jobs, in an etcd that it embeds. `sentry`: it speaks mTLS alone."""

    name = "scheduler"
    port_names = ("grpc", "health", "metrics", "etcd_client", "etcd_peer")

    def __init__(self, sentry=None, **kwargs):
        super().__init__(**kwargs)
        self.address, self.sentry = f"127.0.0.1:{self.port}", sentry
        self.env["NAMESPACE"] = "default"  # of the control plane, for sidecars

    def _mtls_words(self):
        if not self.sentry:
            return ["--tls-enabled=false"]
        return ["--tls-enabled=true", "--sentry-address", self.sentry.address,
                "--trust-domain", self.sentry.TRUST, "--trust-anchors-file", self.sentry.anchors_file,
                "--identity-directory-write", os.path.join(self.folder, "identity")]

    def command(self):
        own = "dapr-scheduler-server-0"
        return [part("scheduler"), "--id", own, "--port", str(self.port),
                "--listen-address", "127.0.0.1", "--override-broadcast-host-port", self.address,
                "--etcd-data-dir", os.path.join(self.folder, "etcd"),
                "--etcd-client-port", str(self.ports["etcd_client"]),
                "--etcd-client-listen-address", "127.0.0.1",
                "--etcd-initial-cluster", f"{own}=http://127.0.0.1:{self.ports['etcd_peer']}",
                "--healthz-port", str(self.ports["health"]),
                "--healthz-listen-address", "127.0.0.1",
                "--metrics-port", str(self.ports["metrics"]),
                "--metrics-listen-address", "127.0.0.1", *self._mtls_words()]


class Placement(_Healthy):
    """Places actors. The product has none; a sidecar may be told of it all the same."""

    name = "placement"
    port_names = ("grpc", "health", "metrics", "raft")

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.address = f"127.0.0.1:{self.port}"

    def command(self):
        own = "dapr-placement-0"
        return [part("placement"), "--id", own, "--port", str(self.port),
                "--listen-address", "127.0.0.1",
                "--initial-cluster", f"{own}=127.0.0.1:{self.ports['raft']}",
                "--healthz-port", str(self.ports["health"]),
                "--healthz-listen-address", "127.0.0.1",
                "--metrics-port", str(self.ports["metrics"]),
                "--metrics-listen-address", "127.0.0.1", "--tls-enabled=false"]


class Sentry(_Healthy):
    """Gives sidecars their certificates where mTLS is on; it makes its authority in its folder. They
    are good for `ttl_s` (a day); who has one asks for the next at half of that."""

    TRUST = "localhost"

    name = "sentry"
    port_names = ("grpc", "health", "metrics")

    def __init__(self, ttl_s=86400, **kwargs):
        super().__init__(**kwargs)
        self.address, self.ttl_s = f"127.0.0.1:{self.port}", ttl_s
        self.anchors_file = os.path.join(self.folder, "credentials", "ca.crt")

    @property
    def anchors(self):
        """What a sidecar has to trust, in PEM."""
        with open(self.anchors_file, encoding="ascii") as f:
            return f.read()

    def command(self):
        credentials = os.path.join(self.folder, "credentials")
        os.makedirs(credentials, exist_ok=True)
        config = os.path.join(self.folder, "config.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("apiVersion: dapr.io/v1alpha1\nkind: Configuration\n"
                    "metadata:\n  name: daprsystem\nspec:\n  mtls:\n    enabled: true\n"
                    f"    workloadCertTTL: {self.ttl_s}s\n    allowedClockSkew: 1s\n")
        return [part("sentry"), "--config", config, "--port", str(self.port), "--listen-address", "127.0.0.1",
                "--issuer-credentials", credentials, "--trust-domain", self.TRUST,
                "--mode", "standalone",
                "--healthz-port", str(self.ports["health"]),
                "--healthz-listen-address", "127.0.0.1",
                "--metrics-port", str(self.ports["metrics"]),
                "--metrics-listen-address", "127.0.0.1"]


class Daprd(Process):
    """A sidecar. `resources`: a folder of components (components.py writes them); `app_port`: where
    its application listens, now or later; `api_token` guards the sidecar's own API, `app_token` is
    what it shows the application; `config`: a Configuration file, else one with neither traces nor
    multicast is written; `sentry`: mTLS is on; `app_health`: {"path": …, "interval": s, "timeout": ms,
    "threshold": n}, {} for Dapr's defaults; `arguments`: more of the command line."""

    name = "daprd"
    port_names = ("http", "grpc", "internal", "metrics")

    def __init__(self, app_id, resources, app_port=None, scheduler=None, placement=None,
                 config=None, api_token=None, app_token=None, app_health=None, log_level="info",
                 sentry=None, arguments=(), **kwargs):
        super().__init__(**kwargs)
        self.app_id, self.app_port, self.resources = app_id, app_port, resources
        self.scheduler, self.placement, self.config = scheduler, placement, config
        self.api_token, self.app_health = api_token, app_health
        self.log_level, self.sentry, self.arguments = log_level, sentry, arguments
        self.url = f"http://127.0.0.1:{self.port}"
        # Those of the machine's own environment are not meant for this sidecar.
        self.env = {"DAPR_API_TOKEN": api_token or "", "APP_API_TOKEN": app_token or "",
                    "DAPR_HOST_IP": "127.0.0.1", "NAMESPACE": NAMESPACE}

    def _health_words(self):
        if self.app_health is None:
            return []
        names = {"path": "app-health-check-path", "interval": "app-health-probe-interval",
                 "timeout": "app-health-probe-timeout", "threshold": "app-health-threshold"}
        words = ["--enable-app-health-check"]
        for name, value in self.app_health.items():
            words += [f"--{names[name]}", str(value)]
        return words

    def _mtls_words(self):
        if not self.sentry:
            return []
        self.env["DAPR_TRUST_ANCHORS"] = self.sentry.anchors
        return ["--enable-mtls", "--sentry-address", f"127.0.0.1:{self.sentry.port}",
                "--control-plane-trust-domain", self.sentry.TRUST]

    def _config(self):
        if self.config:
            return self.config
        path = os.path.join(self.folder, "config.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(CONFIGURATION.format(database=os.path.join(self.folder, "names.db")))
        return path

    def command(self):
        words = [part("daprd"), "--app-id", self.app_id,
                 "--dapr-http-port", str(self.ports["http"]),
                 "--dapr-grpc-port", str(self.ports["grpc"]),
                 "--dapr-internal-grpc-port", str(self.ports["internal"]),
                 "--dapr-internal-grpc-listen-address", "127.0.0.1",
                 "--dapr-listen-addresses", "127.0.0.1",
                 "--metrics-port", str(self.ports["metrics"]),
                 "--metrics-listen-address", "127.0.0.1",
                 "--resources-path", self.resources, "--config", self._config(),
                 "--log-level", self.log_level, "--dapr-graceful-shutdown-seconds", "2",
                 "--scheduler-host-address", self.scheduler.address if self.scheduler else "",
                 "--placement-host-address", self.placement.address if self.placement else "",
                 *self._health_words(), *self._mtls_words(), *self.arguments]
        if self.app_port:
            words += ["--app-port", str(self.app_port)]
        return words

    def is_ready(self):
        """It can publish and keep state; deliveries start once the application listens too."""
        return http_status(f"{self.url}/v1.0/healthz/outbound") == 204


# Dapr's own name resolution announces each sidecar by multicast, and nothing here looks for another. So
# one is named that this build of daprd does not have: it says so once in its log, and goes on without.
CONFIGURATION = """apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata:
  name: dapr-config
spec:
  nameResolution:
    component: sqlite
    configuration:
      connectionString: "{database}"
  tracing:
    samplingRate: "0"
"""
