"""The whole product on the real stack for one transport: PostgreSQL, the brokers, two replicas of
todo-mcp and a worker that records all events, each of which can be killed and started again."""

import contextlib
import json
import os
import shutil
import tempfile

from stack import (Daprd, Kafka, PostgresServer, Process, Redis, free_port, http_status,
                   pubsub_kafka, pubsub_redis)
from todo_server import server_binary

TRANSPORTS = ("dapr-kafka", "dapr-redis", "kafka", "direct")
TOKEN = "shared-by-all"
# Topic: the recorder's route.
ROUTES = {"task-events": "/events/task-events", "task-recurrence": "/events/task-completed",
          "task-reminders": "/events/reminder-sent"}


def recorder_binary():
    path = os.environ.get("TODO_RECORDER")
    if not path or not os.access(path, os.X_OK):
        raise SystemExit("TODO_RECORDER must name the todo-recorder program")
    return path


class Program(Process):
    """One of ours. Its end is checked: exit code 0, nothing from a sanitizer."""

    port_names = ("http",)

    def __init__(self, name, binary, settings, **kwargs):
        self.name = name
        super().__init__(**kwargs)
        self.binary = binary
        self.set(settings)

    def set(self, settings):
        """From its next start on."""
        self.env = {"HTTP_PORT": str(self.port), "LOG_FORMAT": "json", "LOG_LEVEL": "info",
                    "RATE_LIMIT_PER_MINUTE": "0",
                    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", **settings}

    def command(self):
        return [self.binary]

    def is_ready(self):
        return http_status(f"http://127.0.0.1:{self.port}/readyz") == 200

    def stop(self, seconds=60):
        process = self.process
        super().stop(seconds)
        if process and process.returncode:
            raise AssertionError(f"{self.name} ended with {process.returncode}:\n"
                                 f"{self.log_tail()}")

    def check_log(self):
        text = self.log_tail(1 << 30)
        for word in ("Sanitizer", "runtime error"):
            if word in text:
                raise AssertionError(f"{self.name}: {text[text.index(word):][:4000]}")


class Rig:
    """`transport` is one of TRANSPORTS. `parts` are those that a fault may hit, by name. With
    `has_both` Kafka and Redis run, whatever the transport."""

    # Where a verdict finds the rows.
    outbox, inbox = "todo.outbox", "todo.inbox"

    def __init__(self, transport, has_both=False, replicas=2):
        self.transport = transport
        self.folder = tempfile.mkdtemp(prefix="todo-rig-")
        self.resources = os.path.join(self.folder, "components")
        os.makedirs(self.resources)
        self.record_file = os.path.join(self.folder, "recorded.jsonl")
        self.postgres = self.make_postgres()
        self.kafka = self.make_broker(Kafka) if has_both or "kafka" in transport else None
        self.redis = self.make_broker(Redis) if has_both or "redis" in transport else None
        self.sentry = self.make_sentry() if transport.startswith("dapr") else None
        self.recorder_port = free_port()
        self.sidecars, self.replicas = [], []
        if transport.startswith("dapr"):
            self.add_sidecars(replicas)
        for n in range(replicas):
            self.replicas.append(Program(f"todo-mcp-{n}", server_binary(), self.settings(n)))
        self.recorder = Program("recorder", recorder_binary(), self.settings(-1),
                                ports={"http": self.recorder_port})

    def make_postgres(self):
        return PostgresServer(settings=["fsync=off"])

    @property
    def recorded_topics(self):
        """What the recorder gets."""
        return tuple(ROUTES)

    @property
    def database_url(self):
        """What the programs and sidecars are given."""
        return self.postgres.url

    def make_broker(self, kind):
        return kind()

    def make_sentry(self):
        """None: sidecars have no certificates."""

    def add_sidecars(self, replicas):
        """One a replica, and the recorder's, which is the last."""
        for n in range(replicas):
            self.sidecars.append(Daprd("backend", self.resources, api_token=TOKEN,
                                       app_token=TOKEN, sentry=self.sentry))
            self.sidecars[n].name = f"daprd-{n}"
        self.sidecars.append(Daprd("recorder", self.resources, app_port=self.recorder_port,
                                   api_token=TOKEN, app_token=TOKEN, sentry=self.sentry))
        self.sidecars[-1].name = "daprd-recorder"

    def settings(self, number):
        """Of replica `number`, or of the recorder (-1)."""
        settings = {"DATABASE_URL": self.database_url, "APP_API_TOKEN": TOKEN,
                    "DAPR_API_TOKEN": TOKEN}
        if number < 0:
            settings["RECORDER_LOG"] = self.record_file
        if self.transport.startswith("dapr"):
            settings |= {"USE_DAPR": "true", "DAPR_HTTP_PORT": str(self.sidecars[number].port)}
        elif self.transport == "kafka":
            settings["KAFKA_BROKERS"] = self.kafka.brokers
        elif number >= 0:
            settings["EVENT_SUBSCRIBERS"] = ",".join(
                f"{topic}=http://127.0.0.1:{self.recorder_port}{path}"
                for topic, path in ROUTES.items())
        return settings

    def change_transport(self, transport):
        """For each program from its next start on."""
        self.transport = transport
        for n, replica in enumerate(self.replicas):
            replica.set(self.settings(n))
        self.recorder.set(self.settings(-1))

    def write_component(self):
        if self.transport == "dapr-kafka":
            pubsub_kafka(self.resources, self.kafka.brokers)
        elif self.transport == "dapr-redis":
            pubsub_redis(self.resources, self.redis.address)

    @property
    def all(self):
        """In the order of their start."""
        return [part for part in (self.postgres, self.kafka, self.redis, self.sentry,
                                  *self.sidecars, *self.replicas, self.recorder) if part]

    @property
    def parts(self):
        return {part.name: part for part in self.all if part is not self.recorder}

    @property
    def programs(self):
        return [part for part in self.all if isinstance(part, Program)]

    @property
    def ports(self):
        return [replica.port for replica in self.replicas]

    def start(self, parts=None):
        """All, or these of them."""
        parts = parts or self.all
        self.write_component()
        for part in parts:
            part.start(wait=not isinstance(part, (Program, Daprd)))
        for part in parts:
            part.wait_ready()
        return self

    def stop(self):
        """The programs in order, with their ends checked; then the rest."""
        for part in reversed(self.all):
            part.stop()
        for program in (*self.replicas, self.recorder):
            program.check_log()

    def close(self):
        for part in reversed(self.all):
            with contextlib.suppress(Exception):
                part.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def logs(self):
        """The ends of all logs, for a failure's message."""
        return "\n".join(f"==> {part.name}\n{part.log_tail(1500)}" for part in self.all)

    def deliveries(self):
        """Each run of the recorder's handler, repeats too. A line that a kill cut short is none."""
        found = []
        if os.path.exists(self.record_file):
            with open(self.record_file, encoding="utf-8") as f:
                for line in f:
                    with contextlib.suppress(ValueError):
                        found.append(json.loads(line))
        return found

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        """What went wrong comes with the ends of the logs, which go with the folders."""
        logs = self.logs() if isinstance(error, Exception) else ""
        self.close()
        if logs:
            raise AssertionError(f"{error!r}\n{logs}") from error
