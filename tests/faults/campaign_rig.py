"""The rig of a campaign: PostgreSQL and the broker on disks that can be filled, PostgreSQL reached by TCP,
each part in a group of its own, so that its links can be told apart, and our programs on a clock that can
be set. Whatever can expire is used: an issuer of tokens that end soon, certificates of PostgreSQL and of
the SMTP server that are verified, and those that sentry gives the sidecars and the scheduler."""

import contextlib
import os
import shutil
import tempfile

from stack import (Authority, Clock, Disk, IssuerServer, PostgresServer, Sentry, SmtpSink,
                   has_groups)
from workers_rig import WorkersRig

FIRST_GROUP = 61000
MAX_CONNECTIONS = 120
TOKEN_LIFE_S = 8
SIDECAR_LIFE_S = 20
AUDIENCE = "https://todo.example/mcp"
# With faketime before it; and what was freed is not kept for long, so that memory says something.
ASAN = "detect_leaks=1:abort_on_error=0:verify_asan_link_order=0:quarantine_size_mb=8"


class CampaignRig(WorkersRig):
    def __init__(self, transport, replicas, disk_mb):
        self.disk_mb, self.disks, self.clocks = disk_mb, {}, {}
        self.certificates = tempfile.mkdtemp(prefix="todo-certificates-")
        self.authority = Authority(self.certificates)
        self.good = self.authority.issue()
        self.expired = self.authority.issue("expired", days=-1)
        self.issuer = IssuerServer(AUDIENCE, TOKEN_LIFE_S)
        super().__init__(transport, replicas)
        self.postgres.settings.append(f"max_connections={MAX_CONNECTIONS}")
        for number, part in enumerate(self.all):
            if has_groups() and part is not self.postgres:
                part.set_group(FIRST_GROUP + number)
        for program in self.programs:
            self.clocks[program.name] = Clock(os.path.join(self.folder, f"{program.name}.clock"))
            program.env |= {"ASAN_OPTIONS": ASAN, "SMTP_CA_FILE": self.authority.certificate,
                            "SMTP_STARTTLS": "required", **self.clocks[program.name].env}

    def make_disk(self, name):
        self.disks[name] = Disk(self.disk_mb)
        return self.disks[name].folder

    def make_postgres(self):
        """Its log of changes stays small, so that the disk's size is the data's."""
        return PostgresServer(settings=["max_wal_size=96MB", "checkpoint_timeout=30s"], tcp=True,
                              tls=(self.authority, self.good), folder=self.make_disk("postgres"))

    def make_sink(self):
        return SmtpSink(tls=self.good)

    def make_sentry(self):
        return Sentry(SIDECAR_LIFE_S)

    @property
    def all(self):
        return [self.issuer, *super().all]

    @property
    def database_url(self):
        return self.postgres.tcp_url

    def make_broker(self, kind):
        return kind(folder=self.make_disk(kind.name))

    def settings(self, number):
        settings = super().settings(number) | {"POOL_SIZE": "4"}
        if number >= 0:
            settings |= {"OAUTH_ISSUER": self.issuer.url, "PUBLIC_URL": AUDIENCE}
        return settings

    @property
    def by_name(self):
        return {part.name: part for part in self.all}

    # ---- who speaks with whom

    @property
    def links(self):
        """(client, server) by their names; "" is anybody."""
        found = [(program.name, "postgres") for program in self.programs]
        found += [("", replica.name) for replica in self.replicas]
        found += [(replica.name, "issuer") for replica in self.replicas]
        found += [(w.name, "smtp") for w in self.workers if w.name.startswith("todo-email")]
        broker = self.kafka or self.redis
        if not self.is_dapr and broker:
            found += [(program.name, broker.name) for program in self.programs]
        if self.is_dapr:
            owners = [*zip(self.sidecars, [*self.replicas, self.recorder]),
                      *zip(self.worker_sidecars, self.workers)]
            for sidecar, program in owners:
                found += [(program.name, sidecar.name), (sidecar.name, broker.name)]
                if program not in self.replicas:
                    found.append((sidecar.name, program.name))
            for sidecar in self.worker_sidecars:
                found += [(sidecar.name, "scheduler"), (sidecar.name, "postgres")]
        if not broker:
            found += [("", worker.name) for worker in self.workers
                      if not worker.name.startswith("todo-notification")]
        return sorted(found)

    def port_of(self, name):
        return self.postgres.tcp_port if name == "postgres" else self.by_name[name].port

    def refusals(self, name):
        """How often an expired certificate was refused to or by this server."""
        words, parts = {"postgres": ("alert certificate expired", [self.postgres]),
                        "scheduler": ("expired", [self.scheduler, *self.sidecars,
                                                  *self.worker_sidecars]),
                        "smtp": ("certificate has expired", self.workers)}[name]
        return sum(part.log_tail(1 << 30).count(words) for part in parts if part)

    def close(self):
        super().close()
        for disk in self.disks.values():
            with contextlib.suppress(OSError):
                disk.close()
        shutil.rmtree(self.certificates, ignore_errors=True)
