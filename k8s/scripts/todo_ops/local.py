"""The site of ./todo stack: the same questions as in a cluster, answered by the processes on this
machine. What `kubectl` is to a cluster tests/stack/control.py is here."""

import contextlib
import json
import os
import subprocess
import sys

from .checks import first_pod
from .names import BACKEND
from .report import Failure
from .web import Tools, Web

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
FRONT_DOOR = os.path.join(ROOT, "todo")
sys.path[:0] = [os.path.join(ROOT, "tests", "stack"), os.path.join(ROOT, "tests", "lib")]
import control  # noqa: E402
from stack import part, worker_binary  # noqa: E402

UP = "setup-dapr --local"


class Pod:
    """A replica of a program with its sidecar."""

    def __init__(self, name, program, daprd):
        self.name, self.program, self.daprd = name, program, daprd

    @property
    def has_sidecar(self):
        return self.daprd.is_running()

    @contextlib.contextmanager
    def sidecar(self):
        yield Web(self.daprd.url, {"dapr-api-token": self.daprd.api_token})

    @contextlib.contextmanager
    def app(self):
        yield Web(self.program.url)

    def sidecar_bytes(self):
        with open(f"/proc/{self.daprd.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Local:
    def __init__(self):
        self._open = contextlib.ExitStack()
        self._stack = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._open.close()

    def need(self):
        if not os.path.exists(os.path.join(control.state_folder(), "parts.json")):
            raise Failure("there is no stack on this machine", UP)

    @property
    def stack(self):
        if not self._stack:
            self.need()
            self._stack = self._open.enter_context(control.opened())
        return self._stack

    def words(self, cluster, local):
        return local

    # ---- what a script changes

    def set_up(self, arguments, report):
        with report.step("stack", "PostgreSQL, brokers, scheduler, sidecars and the four programs"):
            words = [FRONT_DOOR, "stack", "up", "--programs"]
            if arguments.replicas:
                words += ["--replicas", str(arguments.replicas)]
            if arguments.broker:
                words += ["--broker", arguments.broker]
            if arguments.dry_run:
                words = [FRONT_DOOR, "stack", "prepare"]
            done = subprocess.run(words, check=False, stdout=subprocess.DEVNULL)
            if done.returncode:
                raise Failure("the stack did not come up", "./todo stack logs")

    def use_dapr(self, is_on, arguments, report):
        value = "true" if is_on else "false"
        with report.step("use-dapr", limit_s=arguments.timeout) as entry:
            self.need_programs()
            self.stack.use_dapr(is_on)
            entry["found"] = f"USE_DAPR={value} for {len(self.stack.programs())} programs"

    def need_programs(self):
        if not self.stack.programs():
            raise Failure("our programs are not among the stack's parts", UP)

    def swap(self, broker, arguments):
        control.change_broker(self.stack, broker)

    def scale(self, app_id, number):
        self.need_programs()
        self.stack.scale(app_id, number)

    def kill(self, pod):
        pod.program.kill()
        pod.daprd.kill()

    def heal(self):
        """What a cluster does by itself: who was killed comes back."""
        self.stack.up()

    def restart_scheduler(self):
        self.stack.scheduler.restart()
        self.stack.save()

    # ---- what a script asks

    def control_plane(self):
        parts = {name: self.stack.parts[name] for name in
                 ("postgres", self.stack.broker, "scheduler")}
        return {name: "ready" if part.is_running() and part.is_ready() else "down"
                for name, part in parts.items()}

    def missing_secrets(self):
        missing = []
        for app_id in self.stack.apps:
            values = self._environment_file(app_id)
            missing += [f"{app_id}: {name}" for name in
                        ("DATABASE_URL", "DAPR_API_TOKEN", "APP_API_TOKEN") if not values.get(name)]
        return missing

    def _environment_file(self, app_id):
        try:
            with open(self.stack.environment_file(app_id), encoding="utf-8") as f:
                return dict(line.rstrip("\n").split("=", 1) for line in f if "=" in line)
        except OSError:
            return {}

    def resources(self, kind):
        """Of the folder that the sidecars read."""
        script = ("import glob,json,sys,yaml; json.dump([d for p in glob.glob(sys.argv[1]+'/*.yaml')"
                  " for d in yaml.safe_load_all(open(p)) if d], sys.stdout)")
        found = json.loads(subprocess.run([part("python"), "-c", script, self.stack.components],
                                          check=True, stdout=subprocess.PIPE, text=True).stdout)
        return [resource for resource in found if resource["kind"].lower() == kind]

    def replicas(self, app_id):
        """(wanted, ready)"""
        programs = self.stack.programs(app_id).values()
        return (self.stack.replicas.get(app_id, 0),
                sum(program.is_running() and program.is_ready() for program, _ in programs))

    def pods(self, app_id):
        return [Pod(name, program, daprd)
                for name, (program, daprd) in self.stack.programs(app_id).items()
                if program.is_running()]

    def settings(self, app_id):
        programs = self.stack.programs(app_id)
        return next(iter(programs.values()))[0].env if programs else {}

    def todo_mcp(self, *words):
        done = subprocess.run(
            [worker_binary("todo-mcp"), *words], check=False, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, **self.stack.environment(BACKEND)})
        if done.returncode:
            raise Failure(f"todo-mcp {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def sql(self, text, arguments=None):
        """Rows as lists of text."""
        try:
            return self.stack.postgres.query(text)
        except subprocess.CalledProcessError as error:
            raise Failure(f"the database refused: {text}") from error

    @contextlib.contextmanager
    def tools(self):
        with first_pod(self, BACKEND).app() as web:
            yield Tools(web)
