"""A Kubernetes API server of our own over an etcd of our own: objects are taken, checked and stored as
in a cluster, and controllers (kube-controller-manager) make Pods of them. There are no nodes but those
that Nodes (kwok) plays: Pods that the Scheduler puts on them are ready at once and Jobs succeed."""

import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request

from .process import Process, part

TOKEN = "tests-only-token"


class Etcd(Process):
    name = "etcd"
    port_names = ("client", "peer")

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.url = f"http://127.0.0.1:{self.ports['client']}"

    def command(self):
        peer = f"http://127.0.0.1:{self.ports['peer']}"
        return [part("etcd"), "--data-dir", f"{self.folder}/data",
                "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", f"default={peer}"]


class ApiServer(Process):
    """`kubeconfig` is the path of an administrator's. `accounts`: Pods need their service account, as in
    a cluster; it takes a ControllerManager to make the one that is called default."""

    name = "kube-apiserver"
    port_names = ("https",)
    start_seconds = 120

    def __init__(self, etcd, accounts=False, **kwargs):
        super().__init__(**kwargs)
        self.etcd, self.accounts = etcd, accounts
        self.url = f"https://127.0.0.1:{self.port}"
        self.kubeconfig = f"{self.folder}/kubeconfig"
        self._make_keys()

    def _make_keys(self):
        key, public = f"{self.folder}/sa.key", f"{self.folder}/sa.pub"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True,
                       stderr=subprocess.DEVNULL)
        subprocess.run(["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True,
                       stderr=subprocess.DEVNULL)
        with open(f"{self.folder}/tokens.csv", "w", encoding="utf-8") as f:
            f.write(f"{TOKEN},admin,1,system:masters\n")
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "tests",
                  "clusters": [{"name": "tests", "cluster": {
                      "server": self.url, "insecure-skip-tls-verify": True}}],
                  "users": [{"name": "admin", "user": {"token": TOKEN}}],
                  "contexts": [{"name": "tests",
                                "context": {"cluster": "tests", "user": "admin"}}]}
        with open(self.kubeconfig, "w", encoding="utf-8") as f:
            json.dump(config, f)

    def command(self):
        return [part("kube-apiserver"), "--etcd-servers", self.etcd.url,
                "--secure-port", str(self.port), "--bind-address", "127.0.0.1",
                "--cert-dir", f"{self.folder}/certificates",
                "--service-account-issuer", "https://kubernetes.default.svc",
                "--service-account-key-file", f"{self.folder}/sa.pub",
                "--service-account-signing-key-file", f"{self.folder}/sa.key",
                "--service-cluster-ip-range", "10.0.0.0/24",
                "--token-auth-file", f"{self.folder}/tokens.csv", "--authorization-mode", "RBAC",
                # It wants an etcd newer than Debian's; without it some clients wait for ever.
                "--feature-gates", "WatchList=false",
                *([] if self.accounts else ["--disable-admission-plugins", "ServiceAccount"])]

    def config_of(self, account, namespace):
        """The path of a kubeconfig with the rights of a service account."""
        token = self.kubectl("-n", namespace, "create", "token", account).stdout.strip()
        with open(self.kubeconfig, encoding="utf-8") as f:
            config = json.load(f)
        config["users"][0]["user"] = {"token": token}
        path = f"{self.folder}/kubeconfig-{account}"
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)
        return path

    def get(self, path):
        return self.request("GET", path)

    def request(self, method, path, body=None, kind="application/json"):
        """(status, text)"""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        request = urllib.request.Request(
            self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError as e:
            return 0, str(e)

    def is_ready(self):
        return self.get("/readyz")[0] == 200

    def _run(self, words, check, stdin):
        done = subprocess.run(words, check=False, input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True,
                              env={**os.environ, "KUBECONFIG": self.kubeconfig,
                                   "HOME": self.folder})
        if check and done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def kubectl(self, *words, check=True, stdin=None):
        return self._run([part("kubectl"), *words], check, stdin)

    def helm(self, *words, check=True):
        return self._run([part("helm"), *words], check, None)


class ControllerManager(Process):
    """Makes ReplicaSets and Pods of Deployments."""

    name = "kube-controller-manager"
    port_names = ("https",)

    def __init__(self, server, **kwargs):
        super().__init__(**kwargs)
        self.server = server

    def command(self):
        return [part("kube-controller-manager"), "--kubeconfig", self.server.kubeconfig,
                "--secure-port", str(self.port), "--bind-address", "127.0.0.1",
                "--cert-dir", f"{self.folder}/certificates", "--leader-elect=false",
                "--service-account-private-key-file", f"{self.server.folder}/sa.key",
                # Each controller with its own rights: Dapr's injector asks who makes a Pod.
                "--use-service-account-credentials=true"]


class Scheduler(Process):
    """Gives each Pod a node."""

    name = "kube-scheduler"
    port_names = ("https",)

    def __init__(self, server, **kwargs):
        super().__init__(**kwargs)
        self.server = server

    def command(self):
        return [part("kube-scheduler"), "--kubeconfig", self.server.kubeconfig,
                "--secure-port", str(self.port), "--bind-address", "127.0.0.1",
                "--cert-dir", f"{self.folder}/certificates", "--leader-elect=false"]


class Nodes(Process):
    """kwok, which says of the Pods on its nodes what a kubelet would: that they run, or have ended."""

    name = "kwok"
    port_names = ("http",)

    def __init__(self, server, zones=("a", "b", "c"), **kwargs):
        super().__init__(**kwargs)
        self.server, self.zones = server, zones

    def command(self):
        program = part("kwok")
        return [program, "--kubeconfig", self.server.kubeconfig, "--manage-all-nodes=true",
                "--config", os.path.join(os.path.dirname(program), "stages.yaml"),
                "--server-address", f"127.0.0.1:{self.port}", "--node-ip", "10.2.0.1",
                "--cidr", "10.1.0.0/16", "--node-lease-duration-seconds", "40"]

    def start(self, wait=True):
        room = {"cpu": "8", "memory": "16Gi", "pods": "110", "ephemeral-storage": "100Gi"}
        nodes = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{z}", "labels": {
                      "kubernetes.io/hostname": f"node-{z}", "topology.kubernetes.io/zone": z,
                      "kubernetes.io/os": "linux"}},
                  "status": {"capacity": room, "allocatable": room}} for z in self.zones]
        self.server.kubectl("apply", "-f", "-",
                            stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": nodes}))
        return super().start(wait)
