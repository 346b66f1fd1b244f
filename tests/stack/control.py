"""./todo stack up|down|status|logs|env|broker: the real stack in the background, with its state in
$XDG_STATE_HOME/todo-app/stack. See docs/stack.md."""

import argparse
import fcntl
import json
import os
import secrets
import shlex
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import (Daprd, Kafka, OtlpCollector, PostgresServer, Redis, Scheduler,  # noqa: E402
                   SmtpSink, is_open, pubsub_kafka, pubsub_redis, state_postgres)
from stack.postgres import private_folder  # noqa: E402

# Application: its program, its port, the port that its sidecar takes where it is free.
APPS = {"backend": ("todo-mcp", 8000, 3500),
        "notification-service": ("todo-notification", 8002, 3502),
        "email-delivery-service": ("todo-email", 8003, 3503),
        "recurring-task-service": ("todo-recurring", 8004, 3504)}
BROKERS = ("kafka", "redis")


class Stack:
    """All parts by name, in the order of their start."""

    def __init__(self, home, app_ports=()):
        self.home = home
        self.file = os.path.join(home, "parts.json")
        self.saved = {}
        if os.path.exists(self.file):
            with open(self.file, encoding="utf-8") as f:
                self.saved = json.load(f)
        self.broker = self.saved.get("broker", "kafka")
        self.tokens = self.saved.get("tokens") or {
            name: secrets.token_hex(16) for name in ("DAPR_API_TOKEN", "APP_API_TOKEN")}
        self.app_ports = {app_id: port for app_id, (_, port, _) in APPS.items()}
        self.app_ports.update(self.saved.get("app_ports", {}))
        self.app_ports.update(app_ports)
        self.components = os.path.join(home, "components")
        self.parts = {}
        self._make()

    def _make(self):
        self.postgres = self._part("postgres", PostgresServer,
                                   folder=private_folder(os.path.join(self.home, "postgres")))
        self.kafka = self._part("kafka", Kafka)
        self.redis = self._part("redis", Redis)
        self.scheduler = self._part("scheduler", Scheduler)
        self.smtp = self._part("smtp", SmtpSink)
        self.otlp = self._part("otlp", OtlpCollector)
        for app_id, (_, _, port) in APPS.items():
            self._part(f"daprd-{app_id}", Daprd, wanted={"http": port}, app_id=app_id,
                       app_port=self.app_ports[app_id], resources=self.components, scheduler=self.scheduler,
                       api_token=self.tokens["DAPR_API_TOKEN"],
                       app_token=self.tokens["APP_API_TOKEN"])

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
            json.dump({"broker": self.broker, "tokens": self.tokens,
                       "app_ports": self.app_ports,
                       "parts": {name: part.state for name, part in self.parts.items()}}, f,
                      indent=2)
        os.rename(self.file + ".new", self.file)

    def write_components(self):
        """Only what changed, since a running sidecar starts a written component anew."""
        write = {"kafka": lambda folder: pubsub_kafka(folder, self.kafka.brokers),
                 "redis": lambda folder: pubsub_redis(folder, self.redis.address)}
        write[self.broker](self.components)
        state_postgres(self.components, self.postgres.url)

    def environment(self, app_id):
        daprd = self.parts[f"daprd-{app_id}"]
        return {"DATABASE_URL": self.postgres.url, "USE_DAPR": "true",
                "DAPR_HTTP_PORT": daprd.port, **self.tokens, "KAFKA_BROKERS": self.kafka.brokers,
                "SMTP_URL": self.smtp.url, "OTEL_EXPORTER_OTLP_ENDPOINT": self.otlp.url}

    def environment_file(self, app_id):
        return os.path.join(self.home, "env", app_id)

    def write_environments(self):
        for app_id in APPS:
            path = self.environment_file(app_id)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8", opener=_private) as f:
                for name, value in self.environment(app_id).items():
                    f.write(f"{name}={shlex.quote(str(value))}\n")

    def up(self):
        """Starts what does not run; when one part fails, those that this call started end again."""
        started = []
        self.write_components()
        try:
            for name, part in self.parts.items():
                if not part.is_running():
                    say(f"starting {name}")
                    started.append(part)
                    part.start()
        except BaseException:
            for part in reversed(started):
                part.stop()
            raise
        finally:
            self.save()
        self.write_environments()

    def down(self):
        for name, part in reversed(self.parts.items()):
            if part.is_running():
                say(f"stopping {name}")
                part.stop()
        self.save()

    def clear(self):
        shutil.rmtree(self.postgres.folder, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


def _private(path, flags):
    return os.open(path, flags, 0o600)


def say(text):
    print(text, file=sys.stderr, flush=True)


def print_environment(stack):
    shared = stack.environment("backend")
    del shared["DAPR_HTTP_PORT"]
    for name, value in shared.items():
        print(f"{name}={shlex.quote(str(value))}")
    for app_id, (program, _, _) in APPS.items():
        print(f"\n# {program} on port {stack.app_ports[app_id]}; all of it: set -a; . "
              f"{shlex.quote(stack.environment_file(app_id))}")
        print(f"DAPR_HTTP_PORT={stack.parts[f'daprd-{app_id}'].port}")


def print_status(stack):
    """True when all is up."""
    all_up = True
    for name, part in stack.parts.items():
        word = "down"
        if part.is_running():
            word = "up" if part.is_ready() else "not ready"
        all_up = all_up and word == "up"
        where = part.port or part.folder
        print(f"{name:28} {word:10} {where if word != 'down' else '':<7} "
              f"{f'pid {part.pid}' if part.pid else ''}".rstrip())
    print(f"{'pubsub-kafka':28} on {stack.broker}")
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
    sidecars = {name: part for name, part in stack.parts.items()
                if name.startswith("daprd-") and part.is_running()}
    for name, part in sidecars.items():
        say(f"restarting {name}")
        part.stop()
    stack.broker = broker
    stack.write_components()
    for part in sidecars.values():
        part.start()
    stack.save()


def app_port(text):
    app_id, port = text.split("=")
    if app_id not in APPS:
        raise argparse.ArgumentTypeError(f"the applications are {' '.join(APPS)}")
    return app_id, int(port)


def parse():
    parser = argparse.ArgumentParser(prog="./todo stack")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("prepare", help="make or fetch the parts, once")
    up = commands.add_parser("up", help="start all parts; prints settings for the programs")
    up.add_argument("--broker", choices=BROKERS, help="what pubsub-kafka stands on")
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
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    home = os.path.join(state, "todo-app", "stack")
    os.makedirs(home, mode=0o700, exist_ok=True)
    with open(os.path.join(home, "..", "stack.lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stack = Stack(home, getattr(arguments, "app_port", ()))
        if arguments.command == "up":
            stack.broker = arguments.broker or stack.broker
            stack.up()
            print_environment(stack)
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
