"""What runs the Pods of a kube.ApiServer: the programs of this build, on loopback, with the environment
and the mounted Secrets that the Pod gives them. So a Deployment is ready when its programs are, a
migration Job ends as the migration does, and `kubectl exec`, `logs` and `port-forward` (kubectl.py)
find somebody. A Pod that is annotated for Dapr has a sidecar with what the cluster's resources say.
Containers and their network it has not."""

import base64
import json
import os
import threading

from .components import SECRETS, secret_store, write
from .dapr import Daprd
from .worker import Worker

MERGE = "application/merge-patch+json"
# What a sidecar reads. Its Configuration is a test's own: there is neither mTLS nor a collector.
DAPR = ("components.v1alpha1", "resiliencies.v1alpha1", "subscriptions.v2alpha1")


class _Program(Worker):
    """The first container of a Pod."""

    def __init__(self, kubelet, pod):
        self.container = pod["spec"]["containers"][0]
        program, *self.words = [*self.container["command"], *self.container.get("args", [])]
        super().__init__(os.path.basename(program))
        self.kubelet, self.said = kubelet, None
        self.is_job = any(o["kind"] == "Job" for o in pod["metadata"].get("ownerReferences", []))
        secrets = {v["name"]: self._sources(v) for v in pod["spec"].get("volumes", [])
                   if "secret" in v or "projected" in v}
        # {where it is in the container: (where it is here, its Secrets with the names of files)}
        self.mounts = {m["mountPath"]: (os.path.join(self.folder, m["name"]), secrets[m["name"]])
                       for m in self.container.get("volumeMounts", []) if m["name"] in secrets}
        self.refresh()
        self.env |= {**self._environment(), "HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(self.port)}
        self.sidecar = None
        notes = pod["metadata"].get("annotations", {})
        if notes.get("dapr.io/enabled") == "true":
            self.sidecar = self._sidecar({k.partition("/")[2]: v for k, v in notes.items()})
            self.env["DAPR_HTTP_PORT"] = str(self.sidecar.port)
        # {what the Pod says: what it is here}
        self.forwards = {str(p["containerPort"]): self.port for p in self.container.get("ports", [])}
        if self.sidecar:
            self.forwards |= {notes["dapr.io/http-port"]: self.sidecar.port,
                              notes["dapr.io/metrics-port"]: self.sidecar.ports["metrics"]}

    def _sidecar(self, notes):
        folder = os.path.join(self.folder, "dapr")
        self.kubelet.write_dapr(folder)
        tokens = [self.kubelet.data("secrets", notes[f"{n}-token-secret"]).get("token")
                  for n in ("api", "app")]
        return Daprd(notes["app-id"], folder, app_port=self.port,
                     scheduler=self.kubelet.scheduler, api_token=tokens[0], app_token=tokens[1],
                     app_health={"path": notes["app-health-check-path"],
                                 "interval": notes["app-health-probe-interval"],
                                 "timeout": notes["app-health-probe-timeout"],
                                 "threshold": notes["app-health-threshold"]},
                     folder=os.path.join(self.folder, "sidecar"))

    def refresh(self):
        """The files of mounted Secrets, as they are now."""
        for folder, sources in self.mounts.values():
            os.makedirs(folder, exist_ok=True)
            for name, items in sources:
                for key, value in self.kubelet.data("secrets", name).items():
                    if items is None or key in items:
                        self._write(os.path.join(folder, items[key] if items else key), value)

    @staticmethod
    def _write(path, value):
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(value)
        os.rename(path + ".new", path)

    @staticmethod
    def _sources(volume):
        """[(Secret, {key: file}, or None for all)]"""
        if "secret" in volume:
            return [(volume["secret"]["secretName"], None)]
        return [(s["secret"]["name"], {i["key"]: i["path"] for i in s["secret"]["items"]})
                for s in volume["projected"]["sources"] if "secret" in s]

    def _environment(self):
        env = {}
        for source in self.container.get("envFrom", []):
            env |= self.kubelet.data("configmaps", source["configMapRef"]["name"])
        for entry in self.container.get("env", []):
            value = entry.get("value", "")
            if reference := entry.get("valueFrom", {}).get("secretKeyRef"):
                value = self.kubelet.data("secrets", reference["name"]).get(reference["key"])
            if value is not None:
                env[entry["name"]] = value
        for inside, (here, _) in self.mounts.items():
            env = {k: v.replace(inside, here) if v.startswith(inside) else v
                   for k, v in env.items()}
        return env

    def command(self):
        return [self.binary, *self.words]

    def run(self):
        """Starts what does not run, and is not over."""
        for process in (self, self.sidecar):
            if process and not process.is_running() and not (self.is_job and self.process):
                process.start(wait=False)

    def status(self):
        if self.is_job:
            code = self.process.poll()
            return {"phase": {None: "Running", 0: "Succeeded"}.get(code, "Failed")}
        containers = {self.container["name"]: self.is_ready()}
        if self.sidecar:
            containers["daprd"] = self.sidecar.is_ready()
        is_ready = str(all(containers.values()))
        return {"phase": "Running",
                "conditions": [{"type": t, "status": is_ready}
                               for t in ("Ready", "ContainersReady")],
                "containerStatuses": [{"name": name, "ready": ready, "restartCount": 0,
                                       "image": "", "imageID": ""}
                                      for name, ready in containers.items()]}

    def close(self):
        super().close()
        if self.sidecar:
            self.sidecar.close()


class Kubelet:
    """Of one namespace. `folder` has a file for each Pod that runs, with what kubectl.py needs."""

    def __init__(self, api, namespace, folder, scheduler=None):
        self.api, self.namespace, self.folder = api, namespace, folder
        self.scheduler = scheduler  # Dapr's
        self.programs = {}  # by the Pod's name
        self.failure = None
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _get(self, path, group="api/v1"):
        status, text = self.api.get(f"/{group}/namespaces/{self.namespace}/{path}")
        return json.loads(text) if status == 200 else None

    def write_dapr(self, folder):
        """The cluster's resources as a sidecar's files; its Secrets in a file too."""
        for kind in DAPR:
            plural, version = kind.split(".")
            for resource in self._get(plural, f"apis/dapr.io/{version}")["items"]:
                del resource["metadata"]["managedFields"]
                write(folder, f"{plural}-{resource['metadata']['name']}", json.dumps(resource))
        os.unlink(os.path.join(folder, f"components-{SECRETS}.yaml"))
        secret_store(folder, {s["metadata"]["name"]: self.data("secrets", s["metadata"]["name"])
                              for s in self._get("secrets")["items"] if s["type"] == "Opaque"})

    def data(self, kind, name):
        """The text values of a Secret or a ConfigMap; none where it is not there."""
        found = (self._get(f"{kind}/{name}") or {}).get("data") or {}
        if kind == "secrets":
            found = {k: base64.b64decode(v).decode() for k, v in found.items()}
        return found

    def _run(self):
        try:
            while not self.end.wait(0.1):
                self._look()
        except Exception as e:
            self.failure = e
            raise

    def _look(self):
        pods = self._get("pods")
        if pods is None:
            return
        there = {pod["metadata"]["name"]: pod for pod in pods["items"]}
        for name in [n for n in self.programs if n not in there]:
            os.unlink(os.path.join(self.folder, name))
            self.programs.pop(name).close()
        for name, pod in there.items():
            if name not in self.programs and pod["status"]["phase"] == "Pending":
                self._begin(name, pod)
        for name, program in self.programs.items():
            self._tell(name, program)

    def _begin(self, name, pod):
        program = self.programs[name] = _Program(self, pod)
        program.run()
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
            json.dump({"env": program.env, "log": program.log, "forwards": program.forwards,
                       "bin": os.path.dirname(os.path.dirname(program.binary))}, f)

    def _tell(self, name, program):
        program.refresh()
        program.run()
        status = program.status()
        if status != program.said:
            self.api.request("PATCH", f"/api/v1/namespaces/{self.namespace}/pods/{name}/status",
                             {"status": status}, MERGE)
            program.said = status

    def start(self):
        self.thread.start()
        return self

    def close(self):
        self.end.set()
        self.thread.join(60)
        for program in self.programs.values():
            program.close()
        if self.failure:
            raise self.failure
