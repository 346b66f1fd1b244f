"""The rig with the three workers, in several replicas each, and an SMTP server that keeps what it
is sent. With Dapr each replica has its sidecar and the scheduler runs; without a broker each
worker is reached at one address, as behind a Kubernetes Service."""

import os
import shutil
import tempfile

from rig import ROUTES, TOKEN, Program, Rig
from stack import (Balancer, Daprd, Scheduler, SmtpSink, free_port, pubsub_redis, state_postgres,
                   worker_binary)

# Program: app id, what the direct transport posts to it (topic, path).
WORKERS = {
    "todo-notification": ("notification-service", None, None),
    "todo-email": ("email-delivery-service", "task-reminders", "/events/reminder-sent"),
    "todo-recurring": ("recurring-task-service", "task-recurrence", "/events/task-completed"),
}
MAIL_DOMAIN = "todo.example"


class WorkersRig(Rig):
    issuer = None  # of access tokens

    def __init__(self, transport, replicas=3):
        self.worker_ports = {name: [free_port() for _ in range(replicas)] for name in WORKERS}
        self.balancers = {}
        if transport == "direct":
            self.balancers = {name: Balancer(self.worker_ports[name])
                              for name, (_, topic, _) in WORKERS.items() if topic}
        super().__init__(transport)
        self.postgres.settings.append("max_connections=400")
        self.sink = self.make_sink()
        self.scheduler = Scheduler(self.sentry) if self.is_dapr else None
        self.workers, self.worker_sidecars = [], []
        for name in WORKERS:
            for n in range(replicas):
                self.add_worker(name, n)

    def make_sink(self):
        return SmtpSink()

    @property
    def recorded_topics(self):
        return super().recorded_topics if self.transport != "direct" else ("task-events",)

    @property
    def is_dapr(self):
        return self.transport.startswith("dapr")

    def add_worker(self, name, number):
        port = self.worker_ports[name][number]
        settings = super().settings(-1)
        settings |= {"SMTP_URL": self.sink.url, "SMTP_FROM": f"Todo <todo@{MAIL_DOMAIN}>",
                     "POOL_SIZE": "4"}
        if self.is_dapr:
            sidecar = Daprd(WORKERS[name][0], self.resources, app_port=port,
                            scheduler=self.scheduler, api_token=TOKEN, app_token=TOKEN,
                            sentry=self.sentry)
            sidecar.name = f"daprd-{name}-{number}"
            self.worker_sidecars.append(sidecar)
            settings["DAPR_HTTP_PORT"] = str(sidecar.port)
        self.workers.append(Program(f"{name}-{number}", worker_binary(name), settings,
                                    ports={"http": port}))

    def settings(self, number):
        """The recorder has task-events alone in the direct transport: the rest is the workers'."""
        settings = super().settings(number) | {"API_KEYS": "true"}
        if number >= 0 and self.transport == "direct":
            ways = [f"task-events=http://127.0.0.1:{self.recorder_port}{ROUTES['task-events']}"]
            ways += [f"{topic}=http://127.0.0.1:{self.balancers[name].port}{path}"
                     for name, (_, topic, path) in WORKERS.items() if topic]
            settings["EVENT_SUBSCRIBERS"] = ",".join(ways)
        return settings

    def write_component(self):
        super().write_component()
        if self.redis:  # as it is meant to run
            pubsub_redis(self.resources, self.redis.address)
        if self.is_dapr:
            state_postgres(self.resources, self.database_url)

    @property
    def all(self):
        """In the order of their start."""
        return [part for part in (self.postgres, self.kafka, self.redis, self.sink, self.sentry,
                                  self.scheduler, *self.sidecars, *self.worker_sidecars, *self.replicas,
                                  self.recorder, *self.workers) if part]

    def victims(self):
        """What a fault may hit, as lists of which one is chosen: {kind: [name, …]}."""
        kinds = {name: [f"{name}-{n}" for n in range(len(ports))]
                 for name, ports in self.worker_ports.items()}
        kinds["todo-mcp"] = [replica.name for replica in self.replicas]
        if self.is_dapr:
            kinds["daprd"] = [sidecar.name for sidecar in self.worker_sidecars]
            kinds["scheduler"] = ["scheduler"]
        if self.kafka or self.redis:
            kinds["broker"] = [(self.kafka or self.redis).name]
        return kinds

    def stop_workers(self):
        """They end what they have in hand."""
        for worker in self.workers:
            worker.stop()

    def stop(self):
        super().stop()
        for worker in self.workers:
            worker.check_log()

    def close(self):
        super().close()
        for balancer in self.balancers.values():
            balancer.close()

    def logs(self):
        """The logs outlive the rig where something went wrong."""
        folder = tempfile.mkdtemp(prefix="todo-faults-workers-")
        for part in self.all:
            if os.path.exists(part.log):
                shutil.copy(part.log, os.path.join(folder, f"{part.name}.log"))
        return f"the logs are in {folder}"
