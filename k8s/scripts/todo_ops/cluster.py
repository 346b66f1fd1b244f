"""The site of a cluster, by kubectl and helm. $KUBECTL and $HELM name other programs than those in PATH;
$TODO_API_KEY a key for the MCP endpoint, in place of one that is made for the script and revoked."""

import base64
import contextlib
import json
import os
import re
import subprocess

from .checks import first_pod
from .install import Installer
from .names import APPS, BACKEND, BROKER_SECRETS, PUBSUB, SECRETS
from .report import Failure
from .web import Tools, Web

PLURALS = {"component": "components", "resiliency": "resiliencies",
           "subscription": "subscriptions", "configuration": "configurations"}
# Part of Dapr's control plane: its kind.
CONTROL_PLANE = {"dapr-operator": "deployment", "dapr-sentry": "deployment",
                 "dapr-sidecar-injector": "deployment", "dapr-scheduler-server": "statefulset"}


class Pod:
    """A pod that runs."""

    def __init__(self, cluster, port, resource):
        self.cluster, self.port, self.resource = cluster, port, resource
        self.name = resource["metadata"]["name"]
        self.notes = resource["metadata"].get("annotations", {})

    @property
    def has_sidecar(self):
        states = self.resource["status"]
        return any(c["name"] == "daprd" and c.get("ready") for kind in
                   ("containerStatuses", "initContainerStatuses") for c in states.get(kind, []))

    @contextlib.contextmanager
    def sidecar(self):
        token = self.cluster.secrets().get("dapr-api-token", {}).get("token", "")
        with self._forward(self.notes.get("dapr.io/http-port", "3500")) as url:
            yield Web(url, {"dapr-api-token": token})

    @contextlib.contextmanager
    def app(self):
        with self._forward(self.port) as url:
            yield Web(url)

    def sidecar_bytes(self):
        with self._forward(self.notes.get("dapr.io/metrics-port", "9090")) as url:
            return int(Web(url).samples()["process_resident_memory_bytes"])

    @contextlib.contextmanager
    def _forward(self, port):
        """The address here of a port there, also of one that listens on the pod's loopback alone."""
        words = self.cluster.words_of("port-forward", f"pod/{self.name}", f":{port}")
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as process:
            try:
                found = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
                if not found:
                    process.kill()
                    raise Failure(f"no way to port {port} of {self.name}: "
                                  f"{process.stderr.read().strip()}")
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                process.terminate()


class Cluster:
    def __init__(self, arguments):
        self.namespace, self.release = arguments.namespace, arguments.release
        self.dapr_namespace, self.context = arguments.dapr_namespace, arguments.context
        self.key = self.key_id = None

    def __enter__(self):
        self.kubectl("get", "--raw", "/readyz", "--request-timeout=10s")
        return self

    def need(self):
        if not self.get("namespace", self.namespace):
            raise Failure(f"there is no namespace {self.namespace}", "setup-dapr, or --namespace")

    def __exit__(self, *_):
        if self.key_id:
            with contextlib.suppress(Failure):
                self.todo_mcp("key", "revoke", self.key_id)

    def words(self, cluster, local):
        return cluster

    # ---- kubectl and helm

    def words_of(self, *words, namespace=None):
        return [os.environ.get("KUBECTL", "kubectl"), "-n", namespace or self.namespace,
                *(["--context", self.context] if self.context else []), *words]

    def _run(self, words, stdin=None):
        try:
            done = subprocess.run(words, check=False, input=stdin, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        except FileNotFoundError as error:
            raise Failure(f"{words[0]} is missing", "install it, or name it in $KUBECTL, $HELM") \
                from error
        if done.returncode:
            raise Failure((done.stderr or done.stdout).strip())
        return done

    def kubectl(self, *words, stdin=None, namespace=None):
        return self._run(self.words_of(*words, namespace=namespace), stdin).stdout

    def helm(self, *words, namespace=None):
        return self._run([os.environ.get("HELM", "helm"), *words, "-n",
                          namespace or self.namespace,
                          *(["--kube-context", self.context] if self.context else [])]).stdout

    def get(self, *words, namespace=None):
        """A resource, or None where there is none of that name."""
        text = self.kubectl("get", *words, "-o", "json", "--ignore-not-found", namespace=namespace)
        return json.loads(text) if text else None

    def items(self, kind, app_id):
        name, _ = APPS[app_id]
        selector = (f"app.kubernetes.io/instance={self.release},"
                    f"app.kubernetes.io/component={name}")
        return (self.get(kind, "-l", selector) or {"items": []})["items"]

    def deployment(self, app_id):
        found = self.items("deployments", app_id)
        if not found:
            raise Failure(f"{app_id} is not deployed",
                          f"helm install {self.release} k8s/helm/todo-app -n {self.namespace}")
        return found[0]

    def deployment_name(self, app_id):
        return f"deployment/{self.deployment(app_id)['metadata']['name']}"

    # ---- what a script changes

    def set_up(self, arguments, report):
        Installer(self, arguments).set_up(report)

    def use_dapr(self, is_on, arguments, report):
        Installer(self, arguments).use_dapr(is_on, report)

    def swap(self, broker, arguments):
        Installer(self, arguments).put_on(broker)
        names = [self.deployment_name(app_id) for app_id in APPS]
        self.kubectl("rollout", "restart", *names)
        for name in names:
            self.kubectl("rollout", "status", name, f"--timeout={arguments.limit:.0f}s")

    def scale(self, app_id, number):
        self.kubectl("scale", self.deployment_name(app_id), f"--replicas={number}")

    def kill(self, pod):
        self.kubectl("delete", "pod", pod.name, "--grace-period=0", "--force", "--wait=false")

    def heal(self):
        """A cluster does so by itself."""

    def restart_scheduler(self):
        name = "statefulset/dapr-scheduler-server"
        for words in (("restart", name), ("status", name, "--timeout=300s")):
            self.kubectl("rollout", *words, namespace=self.dapr_namespace)

    # ---- what a script asks

    def control_plane(self):
        found = {}
        for name, kind in CONTROL_PLANE.items():
            resource = self.get(kind, name, namespace=self.dapr_namespace)
            ready = resource and resource["status"].get("readyReplicas", 0)
            wanted = resource and resource["spec"].get("replicas", 1)
            found[name] = ("missing" if not resource else
                           "ready" if ready >= max(1, wanted) else f"{ready} of {wanted}")
        return found

    def secrets(self):
        """{name: {key: value}}"""
        found = self.get("secrets") or {"items": []}
        return {resource["metadata"]["name"]: {
            key: base64.b64decode(value).decode(errors="replace")
            for key, value in resource.get("data", {}).items()} for resource in found["items"]}

    def missing_secrets(self):
        wanted = dict(SECRETS)
        for component in self.resources("component"):
            if component["metadata"]["name"] == PUBSUB:
                name, keys = BROKER_SECRETS[component["spec"]["type"].split(".")[1]]
                wanted[name] = keys
        found = self.secrets()
        return [f"{name}: {key}" for name, keys in wanted.items()
                for key in keys if not found.get(name, {}).get(key)]

    def resources(self, kind):
        return (self.get(f"{PLURALS[kind]}.dapr.io") or {"items": []})["items"]

    def replicas(self, app_id):
        """(wanted, ready)"""
        found = self.items("deployments", app_id)
        if not found:
            return 0, 0
        return found[0]["spec"]["replicas"], found[0]["status"].get("readyReplicas", 0)

    def pods(self, app_id):
        return [Pod(self, APPS[app_id][1], resource) for resource in self.items("pods", app_id)
                if resource["status"]["phase"] == "Running"
                and "deletionTimestamp" not in resource["metadata"]]

    def settings(self, app_id):
        container = self.deployment(app_id)["spec"]["template"]["spec"]["containers"][0]
        found = {}
        for source in container.get("envFrom", []):
            config = self.get("configmap", source["configMapRef"]["name"]) or {}
            found |= config.get("data", {})
        return found | {item["name"]: item["value"] for item in container["env"]
                        if "value" in item}

    def todo_mcp(self, *words):
        return self._exec(*words).stdout

    def _exec(self, *words):
        pod = first_pod(self, BACKEND).name  # kubectl waits a minute for a Deployment's first
        return self._run(self.words_of("exec", pod, "-c",
                                       APPS[BACKEND][0], "--", "/usr/bin/todo-mcp", *words))

    def sql(self, text, arguments=None):
        """Rows as lists of text, by a psql in a pod of its own that has the backend's address of the
        database."""
        pod = self.psql_pod(text, arguments.psql_image)
        out = self.kubectl("run", pod["metadata"]["name"], "--rm", "-i", "--quiet",
                           "--restart=Never", f"--image={arguments.psql_image}",
                           f"--overrides={json.dumps(pod)}")
        return [line.split("\t") for line in out.splitlines()]

    def psql_pod(self, text, image):
        container = self.deployment(BACKEND)["spec"]["template"]["spec"]["containers"][0]
        env = [item for item in container["env"]
               if item["name"] == "DATABASE_URL"]
        escaped = text.replace("$", "$$")  # Kubernetes makes one of two
        return {"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": f"todo-psql-{os.getpid()}"},
                "spec": {"automountServiceAccountToken": False, "containers": [{
                    "name": "psql", "image": image, "env": env,
                    "command": ["psql", "$(DATABASE_URL)", "-X", "-q", "-At", "-F", "\t", "-v",
                                "ON_ERROR_STOP=1", "-c", escaped],
                    "securityContext": {
                        "runAsNonRoot": True, "runAsUser": 999, "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "seccompProfile": {"type": "RuntimeDefault"}}}]}}

    @contextlib.contextmanager
    def tools(self):
        with first_pod(self, BACKEND).app() as web:
            yield Tools(Web(web.url, {"Authorization": f"Bearer {self._api_key()}"}))

    def _api_key(self):
        if not self.key:
            self.key = os.environ.get("TODO_API_KEY")
        if not self.key:
            done = self._exec("key", "create", "--name", "k8s-scripts", "--user", "k8s-scripts",
                              "--expires-in", "1")
            self.key, self.key_id = done.stdout.strip(), re.search(r"key (\d+)", done.stderr)[1]
        return self.key
