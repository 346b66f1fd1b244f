"""Where documents' commands run: a PostgreSQL that is served by pg_ctl alone, as on a database's host,
and a cluster whose Pods are programs of this build."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import kube, part  # noqa: E402
from stack.kube import ApiServer, ControllerManager, Etcd  # noqa: E402
from stack.kubelet import Kubelet  # noqa: E402
from stack.worker import worker_binary  # noqa: E402
from todo_server import Client, Postgres, postgres_bindir  # noqa: E402

HOST_TOOLS = ("initdb", "pg_ctl", "pg_basebackup", "pg_verifybackup", "pg_archivecleanup")
SPACE = "todo-phasev"


class DatabaseHost:
    """PostgreSQL's own programs, which refuse to run as root, run there as user postgres: `tools` has
    them. Whatever the commands started ends with this process, also when that is killed."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="todo-docs-pg-")
        self.data, self.backup = f"{self.folder}/data", f"{self.folder}/backup"
        self.tools = {name: f"{self.folder}/bin/{name}" for name in HOST_TOOLS}
        self.url = f"postgresql:///todo?host={self.folder}&user=postgres"
        for folder in (self.backup, f"{self.folder}/bin"):
            os.mkdir(folder)
        self._write_tools(postgres_bindir())
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E",
                 "UTF8", "--locale=C.UTF-8")
        with open(f"{self.data}/postgresql.conf", "a", encoding="utf-8") as f:
            f.write(f"listen_addresses = ''\nunix_socket_directories = '{self.folder}'\n"
                    "max_connections = 300\n")
        # Of postgres nobody asks a password; of the roles that a document makes, its own.
        with open(f"{self.data}/pg_hba.conf", "w", encoding="utf-8") as f:
            f.write("local all,replication postgres trust\nlocal all all scram-sha-256\n")
        self.guard = subprocess.Popen(
            ["sh", "-c", "cat; \"$0\" -D \"$1\" -m immediate stop", self.tools["pg_ctl"],
             self.data], cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        self.run("pg_ctl", "-D", self.data, "-l", f"{self.folder}/log", "-w", "start")
        self.run("createdb", "--maintenance-db=postgres", "todo")

    def _write_tools(self, bindir):
        change = ""
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            for folder in (self.folder, self.backup):
                os.chown(folder, user.pw_uid, user.pw_gid)
                os.chmod(folder, 0o777)
            change = "setpriv --reuid=postgres --regid=postgres --clear-groups "
        for name, path in self.tools.items():
            with open(path, "w", encoding="utf-8") as f:
                f.write(f"#!/bin/sh\ncd / && exec {change}{bindir}/{name} \"$@\"\n")
            os.chmod(path, 0o755)

    @property
    def env(self):
        return {"PGHOST": self.folder, "PGUSER": "postgres", "PGDATABASE": "todo",
                "PGDATA": self.data, "BACKUP": self.backup, "DATABASE_URL": self.url}

    def run(self, tool, *words):
        return subprocess.run([self.tools.get(tool, tool), *words], check=True,
                              env={**os.environ, **self.env}, stdout=subprocess.DEVNULL)

    query, value = Postgres.query, Postgres.value

    def close(self):
        self.guard.communicate()
        shutil.rmtree(self.folder, ignore_errors=True)


class Cluster:
    """`tools` are kubectl and helm, `env` what they need."""

    def __init__(self, scheduler=None):
        self.etcd = Etcd().start()
        self.api = ApiServer(self.etcd).start()
        self.manager = ControllerManager(self.api).start(wait=False)
        self.pods = f"{self.api.folder}/pods"
        os.mkdir(self.pods)
        self.api.kubectl("apply", "--server-side", "-f", part("crds"))
        self.kubelet = Kubelet(self.api, SPACE, self.pods, scheduler).start()
        kubectl = os.path.join(os.path.dirname(os.path.abspath(kube.__file__)), "kubectl.py")
        self.tools = {"kubectl": kubectl, "helm": part("helm")}
        self.env = {"KUBECONFIG": self.api.kubeconfig, "REAL_KUBECTL": part("kubectl"),
                    "KUBELET_FOLDER": self.pods}

    def program(self, deployment):
        """One that runs for a Deployment."""
        return next(p for n, p in self.kubelet.programs.items() if n.startswith(f"{deployment}-"))

    def close(self):
        self.kubelet.close()
        for process in (self.manager, self.api, self.etcd):
            process.close()


class Caller(Client):
    """A client with an API key."""

    def __init__(self, port, key):
        super().__init__(port)
        self.key = key

    def request(self, method, params=None, headers=None):
        return super().request(method, params, {"Authorization": f"Bearer {self.key}",
                                                **(headers or {})})


def make_key(url, user="someone"):
    return subprocess.run([worker_binary("todo-mcp"), "key", "create", "--name", "test", "--user",
                           user], env={**os.environ, "DATABASE_URL": url}, check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()
