"""./todo stack up|down|status|logs|env|broker: the real stack in the background, with its state in
$XDG_STATE_HOME/todo-app/stack. See docs/stack.md."""

import argparse
import concurrent.futures
import contextlib
import fcntl
import json
import os
import secrets
import shlex
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import (SCRAM_PASSWORD, SCRAM_USER, Daprd, Kafka, OtlpCollector,  # noqa: E402
                   PostgresServer, Redis, Scheduler, SmtpSink, Worker, is_open, secret_store, take)
from stack.components import KAFKA, PUBSUB, REDIS  # noqa: E402
from stack.postgres import private_folder  # noqa: E402
from stack.process import TESTS  # noqa: E402

# Application: its program, its port, the port that its sidecar takes where it is free.
APPS = {"backend": ("todo-mcp", 8000, 3500),
        "notification-service": ("todo-notification", 8002, 3502),
        "email-delivery-service": ("todo-email", 8003, 3503),
        "recurring-task-service": ("todo-recurring", 8004, 3504)}
BROKERS = ("kafka", "redis")


class Stack:
    """All parts by name, in the order of their start. Our own programs are among them where `replicas`
    ({application: number}) says so; then each replica has its sidecar. `settings` are more of their
    environment. `apps`: as APPS, with more of a test's own."""

    def __init__(self, home, app_ports=(), apps=None):
        self.home = home
        self.file = os.path.join(home, "parts.json")
        self.saved = {}
        if os.path.exists(self.file):
            with open(self.file, encoding="utf-8") as f:
                self.saved = json.load(f)
        self.broker = self.saved.get("broker", "kafka")
        self.tokens = self.saved.get("tokens") or {
            name: secrets.token_hex(16) for name in ("DAPR_API_TOKEN", "APP_API_TOKEN")}
        self.apps = apps or self.saved.get("apps") or APPS
        self.app_ports = {app_id: port for app_id, (_, port, _) in self.apps.items()}
        self.app_ports.update(self.saved.get("app_ports", {}))
        self.app_ports.update(app_ports)
        self.replicas = self.saved.get("replicas", {})
        self.settings = self.saved.get("settings", {})
        self.uses_dapr = self.saved.get("uses_dapr", True)
        self.components = os.path.join(home, "components")
        self.parts = {}
        self.make()

    def make(self):
        """The parts that `replicas` ask for; those that run are the same processes as before."""
        self.parts = {}
        self.postgres = self._part("postgres", PostgresServer,
                                   folder=private_folder(os.path.join(self.home, "postgres")))
        self.kafka = self._part("kafka", Kafka, sasl=True)
        self.redis = self._part("redis", Redis)
        self.scheduler = self._part("scheduler", Scheduler)
        self.smtp = self._part("smtp", SmtpSink)
        self.otlp = self._part("otlp", OtlpCollector)
        programs = {}
        for app_id, (program, _, port) in self.apps.items():
            for n in range(self.replicas.get(app_id, 0)):
                name = replica_name(app_id, n)
                wanted = {} if n else {"http": self.app_ports[app_id]}
                programs[name] = self._part(name, Worker, wanted=wanted, program=program)
                del self.parts[name]
            for n in range(max(1, self.replicas.get(app_id, 0))):
                name = replica_name(app_id, n)
                self._part(f"daprd-{name}", Daprd, wanted={} if n else {"http": port},
                           app_id=app_id, resources=self.components, scheduler=self.scheduler,
                           app_port=(programs[name].port if name in programs
                                     else self.app_ports[app_id]),
                           api_token=self.tokens["DAPR_API_TOKEN"],
                           app_token=self.tokens["APP_API_TOKEN"])
        self.parts.update(programs)
        for name in programs:
            self.parts[name].env.update(self.environment(name))

    @property
    def infrastructure(self):
        return [part for part in self.parts.values() if not isinstance(part, (Daprd, Worker))]

    def programs(self, app_id=None):
        """{name of a replica: (its program, its sidecar)}, of one application or of all."""
        return {name: (part, self.parts[f"daprd-{name}"]) for name, part in self.parts.items()
                if isinstance(part, Worker) and app_id in (None, self.app_of(name))}

    def app_of(self, name):
        """The application of a replica or of its sidecar."""
        name = name.removeprefix("daprd-")
        return next(a for a in self.apps if name == a or name.startswith(f"{a}."))

    def _part(self, name, kind, folder=None, wanted=None, **settings):
        """With the ports that it had the last time, for as long as nobody else has them."""
        state = self.saved.get("parts", {}).get(name) or {
            "folder": folder or os.path.join(self.home, name), "ports": wanted or {}}
        part = kind(detached=True, **settings, **state)
        if not part.is_running():
            state["ports"] = {k: v for k, v in state["ports"].items() if not is_open(v)}
            part = kind(detached=True, **settings, **state)
        self.parts[name] = part
        return part

    def save(self):
        with open(self.file + ".new", "w", encoding="utf-8", opener=_private) as f:
            json.dump({"broker": self.broker, "tokens": self.tokens, "apps": self.apps,
                       "app_ports": self.app_ports, "replicas": self.replicas,
                       "settings": self.settings, "uses_dapr": self.uses_dapr,
                       "parts": {name: part.state for name, part in self.parts.items()}}, f,
                      indent=2)
        os.rename(self.file + ".new", self.file)

    def write_components(self):
        """The files of k8s/dapr, with what they need of secrets."""
        secret_store(self.components, {
            "kafka-secrets": {"username": SCRAM_USER, "password": SCRAM_PASSWORD},
            "redis-secrets": {"password": ""},
            "todo-app-secrets": {"DATABASE_URL": self.postgres.url}})
        there, here = {"kafka": (KAFKA, self.kafka.sasl_brokers),
                       "redis": (REDIS, self.redis.address)}[self.broker]
        is_ours = set(self.apps) == set(APPS)  # an application of a test's own is in no scope
        take(self.components, f"pubsub-{self.broker}", {there: here}, name=PUBSUB, scoped=is_ours)
        take(self.components, "resiliency", scoped=is_ours)
        for name in ("subscriptions", "statestore-postgres"):
            take(self.components, name)

    def environment(self, name):
        """Of an application, or of one of its replicas."""
        daprd = self.parts[f"daprd-{name}"]
        return {key: str(value) for key, value in {
            "DATABASE_URL": self.postgres.url, "USE_DAPR": "true" if self.uses_dapr else "false",
            "DAPR_HTTP_PORT": daprd.port, **self.tokens, "KAFKA_BROKERS": self.kafka.brokers,
            "SMTP_URL": self.smtp.url, "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp.url,
            **self.settings}.items()}

    def environment_file(self, app_id):
        return os.path.join(self.home, "env", app_id)

    def write_environments(self):
        for app_id in self.apps:
            path = self.environment_file(app_id)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8", opener=_private) as f:
                for name, value in self.environment(app_id).items():
                    f.write(f"{name}={shlex.quote(value)}\n")

    def is_wanted(self, part):
        """A sidecar that its program does not use only takes events from it."""
        return self.uses_dapr or not self.replicas or not isinstance(part, Daprd)

    def up(self):
        """Starts what does not run; when one part fails, those that this call started end again."""
        started = []
        self.write_components()
        try:
            for kind in (self.infrastructure, *self._sidecars_and_programs()):
                new = [part for part in kind if not part.is_running() and self.is_wanted(part)]
                for part in new:
                    say(f"starting {self.name_of(part)}")
                    started.append(part)
                    part.start(wait=False)
                for part in new:
                    part.wait_ready()
        except BaseException:
            stop_all(reversed(started))
            raise
        finally:
            self.save()
        self.write_environments()

    def _sidecars_and_programs(self):
        return ([part for part in self.parts.values() if isinstance(part, kind)]
                for kind in (Daprd, Worker))

    def name_of(self, part):
        return next(name for name, p in self.parts.items() if p is part)

    def scale(self, app_id, number):
        """So many replicas of an application."""
        gone = list(self.programs(app_id).values())[number:]
        stop_all(part for pair in gone for part in pair)
        self.save()
        with open(self.file, encoding="utf-8") as f:
            self.saved = json.load(f)
        self.replicas = {**self.replicas, app_id: number}
        self.make()
        self.up()

    def use_dapr(self, is_on):
        """One replica after the other, as a rolling update does; a sidecar asks its application once
        what it subscribes to, so it starts with it."""
        self.uses_dapr = is_on
        for name, (program, sidecar) in self.programs().items():
            say(f"restarting {name}")
            program.stop()
            sidecar.stop()
            program.env.update(self.environment(name))
            if is_on:
                sidecar.start(wait=False)
            program.start()
        self.save()
        self.write_environments()

    def down(self):
        for kind in reversed((self.infrastructure, *self._sidecars_and_programs())):
            running = [part for part in kind if part.is_running()]
            for part in running:
                say(f"stopping {self.name_of(part)}")
            stop_all(running)
        self.save()

    def clear(self):
        shutil.rmtree(self.postgres.folder, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


def replica_name(app_id, number):
    """The first has the application's own name."""
    return f"{app_id}.{number + 1}" if number else app_id


def stop_all(parts):
    """Side by side: a sidecar takes its time."""
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda part: part.stop(), list(parts)))


def _private(path, flags):
    return os.open(path, flags, 0o600)


def say(text):
    print(text, file=sys.stderr, flush=True)


def print_environment(stack):
    shared = stack.environment("backend")
    del shared["DAPR_HTTP_PORT"]
    for name, value in shared.items():
        print(f"{name}={shlex.quote(str(value))}")
    for app_id, (program, _, _) in stack.apps.items():
        program_port = stack.parts[f"daprd-{app_id}"].app_port
        print(f"\n# {program} on port {program_port}; all of it: set -a; . "
              f"{shlex.quote(stack.environment_file(app_id))}")
        print(f"DAPR_HTTP_PORT={stack.parts[f'daprd-{app_id}'].port}")


def print_status(stack):
    """True when all is up."""
    all_up = True
    for name, part in stack.parts.items():
        word = "down"
        if part.is_running():
            word = "up" if part.is_ready() else "not ready"
        all_up = all_up and (word == "up" or not stack.is_wanted(part))
        where = part.port or part.folder
        print(f"{name:28} {word:10} {where if word != 'down' else '':<7} "
              f"{f'pid {part.pid}' if part.pid else ''}".rstrip())
    print(f"{'pubsub-kafka':28} on {stack.broker}")
    if stack.replicas:
        print(f"{'USE_DAPR':28} {'true' if stack.uses_dapr else 'false'}")
    return all_up


def print_logs(stack, names, lines):
    for name in names or stack.parts:
        if name not in stack.parts:
            raise SystemExit(f"no part is called \"{name}\": {' '.join(stack.parts)}")
        print(f"==> {name}: {stack.parts[name].log}")
        tail = stack.parts[name].log_tail(1 << 20).splitlines()
        print("\n".join(tail[-lines:]))


def change_broker(stack, broker):
    """The same component on another broker. What the old one still holds is published again on the
    new one: the relay sees that the broker was swapped. The sidecars stop before the file changes,
    since a running one would send on to the new broker at once, past what is in the old one."""
    sidecars = [part for part in stack.parts.values()
                if isinstance(part, Daprd) and part.is_running()]
    say(f"restarting {len(sidecars)} sidecars")
    stop_all(sidecars)
    stack.broker = broker
    stack.write_components()
    for part in sidecars:
        part.start(wait=False)
    for part in sidecars:
        part.wait_ready()
    stack.save()


def app_port(text):
    app_id, port = text.split("=")
    if app_id not in APPS:
        raise argparse.ArgumentTypeError(f"the applications are {' '.join(APPS)}")
    return app_id, int(port)


def setting(text):
    name, value = text.split("=", 1)
    return name, value


def state_folder():
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    home = os.path.join(state, "todo-app", "stack")
    os.makedirs(home, mode=0o700, exist_ok=True)
    return home


@contextlib.contextmanager
def opened(app_ports=()):
    """The stack, for one at a time."""
    os.environ.setdefault("TODO_MCP", os.path.join(
        os.path.dirname(TESTS), "build", "release", "apps", "todo-mcp", "todo-mcp"))
    home = state_folder()
    with open(os.path.join(home, "..", "stack.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Stack(home, app_ports)


def up(stack, arguments):
    stack.broker = arguments.broker or stack.broker
    stack.settings = {**stack.settings, **dict(arguments.set)}
    if arguments.programs:
        stack.replicas = {app_id: arguments.replicas or stack.replicas.get(app_id, 1)
                          for app_id in stack.apps}
        stack.make()
    stack.up()
    print_environment(stack)


def parse():
    parser = argparse.ArgumentParser(prog="./todo stack")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="make or fetch the parts, once")
    up = commands.add_parser("up", help="start all parts; prints settings for the programs")
    up.add_argument("--broker", choices=BROKERS, help="what pubsub-kafka stands on")
    up.add_argument("--programs", action="store_true",
                    help="our four programs too, of the release build (or of TODO_MCP's)")
    up.add_argument("--replicas", type=int,
                    help="of each program; default: as many as there were, else 1")
    up.add_argument("--set", action="append", type=setting, default=[], metavar="NAME=VALUE",
                    help="one more setting for the programs")
    up.add_argument("--app-port", action="append", type=app_port, default=[], metavar="APP=PORT",
                    help="where the sidecar of APP finds it, if not at its usual port")
    down = commands.add_parser("down", help="stop all; their data stays")
    down.add_argument("--clear", action="store_true", help="remove their data too")
    commands.add_parser("status", help="each part, up or down, with its port")
    commands.add_parser("env", help="the settings again")
    logs = commands.add_parser("logs", help="the ends of the logs")
    logs.add_argument("part", nargs="*")
    logs.add_argument("--lines", type=int, default=20)
    broker = commands.add_parser("broker", help="put pubsub-kafka on another broker")
    broker.add_argument("broker", choices=BROKERS)
    return parser.parse_args()


def main():
    arguments = parse()
    with opened(getattr(arguments, "app_port", ())) as stack:
        if arguments.command == "up":
            up(stack, arguments)
        elif arguments.command == "down":
            stack.down()
            if arguments.clear:
                stack.clear()
        elif arguments.command == "broker":
            change_broker(stack, arguments.broker)
        elif arguments.command == "status":
            return 0 if print_status(stack) else 1
        elif arguments.command == "logs":
            print_logs(stack, arguments.part, arguments.lines)
        elif arguments.command == "env":
            print_environment(stack)
    return 0


if __name__ == "__main__":
    sys.exit(main())
