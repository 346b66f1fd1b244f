"""What runs the Pods of a kube.ApiServer: the programs of this build, on loopback, with the environment
and the mounted Secrets that the Pod gives them. So a Deployment is ready when its programs are, a
migration Job ends as the migration does, and `kubectl exec` and `logs` (kubectl.py) find somebody.
Containers, their network and Dapr's sidecars it has not."""

import base64
import json
import os
import threading

from .worker import Worker

MERGE = "application/merge-patch+json"


class _Program(Worker):
    """The first container of a Pod."""

    def __init__(self, kubelet, pod):
        self.container = pod["spec"]["containers"][0]
        program, *self.words = [*self.container["command"], *self.container.get("args", [])]
        super().__init__(os.path.basename(program))
        self.kubelet, self.said = kubelet, None
        self.is_job = any(o["kind"] == "Job" for o in pod["metadata"].get("ownerReferences", []))
        secrets = {v["name"]: v["secret"]["secretName"] for v in pod["spec"].get("volumes", [])
                   if "secret" in v}
        # {where it is in the container: (where it is here, the Secret)}
        self.mounts = {m["mountPath"]: (os.path.join(self.folder, m["name"]), secrets[m["name"]])
                       for m in self.container.get("volumeMounts", []) if m["name"] in secrets}
        self.refresh()
        self.env |= {**self._environment(), "HTTP_HOST": "127.0.0.1", "HTTP_PORT": str(self.port)}

    def refresh(self):
        """The files of mounted Secrets, as they are now."""
        for folder, name in self.mounts.values():
            os.makedirs(folder, exist_ok=True)
            for key, value in self.kubelet.data("secrets", name).items():
                path = os.path.join(folder, key)
                with open(path + ".new", "w", encoding="utf-8") as f:
                    f.write(value)
                os.rename(path + ".new", path)

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

    def status(self):
        if self.is_job:
            code = self.process.poll()
            return {"phase": {None: "Running", 0: "Succeeded"}.get(code, "Failed")}
        is_ready = str(self.is_ready())
        return {"phase": "Running", "conditions": [
            {"type": t, "status": is_ready} for t in ("Ready", "ContainersReady")]}


class Kubelet:
    """Of one namespace. `folder` has a file for each Pod that runs, with what kubectl.py needs."""

    def __init__(self, api, namespace, folder):
        self.api, self.namespace, self.folder = api, namespace, folder
        self.programs = {}  # by the Pod's name
        self.failure = None
        self.end = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _get(self, path):
        status, text = self.api.get(f"/api/v1/namespaces/{self.namespace}/{path}")
        return json.loads(text) if status == 200 else None

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
        program.start(wait=False)
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as f:
            json.dump({"env": program.env, "log": program.log, "bin":
                       os.path.dirname(os.path.dirname(program.binary))}, f)

    def _tell(self, name, program):
        program.refresh()
        if not program.is_job and not program.is_running():
            program.start(wait=False)
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
