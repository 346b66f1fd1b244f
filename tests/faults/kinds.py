"""The kinds of faults, one class each: what it may hit, how it begins and ends. All choices come from the
`chance` that it is given, and none from a port or a time, so that a seed makes the same faults again."""

import contextlib
import threading
import time

from campaign_rig import SIDECAR_LIFE_S
from stack import Link, Session, SessionError
from todo_server import wait_for


class Fault:
    """`targets(rig)`: the names that it may hit. How recovery is judged: campaign.Recovery, the same for
    all, since what counts is what the product does for its users."""

    name = "fault"
    length_s = (1.0, 4.0)

    def __init__(self, rig, chance):
        self.rig = rig
        self.target = chance.choice(self.targets(rig))
        self.seconds = round(chance.uniform(*self.length_s), 1)
        self.detail = ""
        self.began = self.ended = None
        self.choose(chance)

    @classmethod
    def targets(cls, rig):
        raise NotImplementedError

    def choose(self, chance):
        """More of its choices."""

    def begin(self):
        raise NotImplementedError

    def end(self):
        raise NotImplementedError

    def parts(self):
        """The names of the parts that it touches."""
        return {self.target}

    def see_refusal(self, server, before):
        """Somebody has not taken the certificate of this server, or it theirs."""
        wait_for(lambda: self.rig.refusals(server) > before, 20,
                 f"{self}: a certificate that is refused")

    def __str__(self):
        target = " → ".join(p or "all" for p in self.target) if isinstance(self.target, tuple) \
            else self.target
        return f"{self.name} {target}{self.detail}, {self.seconds} s"


def processes(rig):
    """The recorder is our eye and is left alone."""
    return sorted(part.name for part in rig.all if part is not rig.recorder)


class Kill(Fault):
    """kill -9; who starts again what has ended may do so at its end."""

    name = "kill"
    length_s = (0.05, 2.0)
    targets = staticmethod(processes)

    def begin(self):
        self.rig.keeper.away.add(self.target)
        self.rig.by_name[self.target].kill()

    def end(self):
        self.rig.keeper.away.discard(self.target)


class Stop(Fault):
    """SIGSTOP and SIGCONT: it is there and does nothing."""

    name = "stop"
    length_s = (1.0, 10.0)
    targets = staticmethod(processes)

    def begin(self):
        self.part = self.rig.by_name[self.target]
        self.pid = self.part.pid
        self.rig.keeper.away.add(self.target)
        with contextlib.suppress(ProcessLookupError, TypeError):
            self.part.pause()

    def end(self):
        with contextlib.suppress(ProcessLookupError, TypeError):
            if self.part.pid == self.pid:
                self.part.resume()
        self.rig.keeper.away.discard(self.target)


class DiskFull(Fault):
    """No byte is left for its files."""

    name = "disk full"
    length_s = (2.0, 6.0)

    @classmethod
    def targets(cls, rig):
        return sorted(rig.disks)

    def begin(self):
        self.rig.disks[self.target].fill()

    def end(self):
        self.rig.disks[self.target].free()


class Network(Fault):
    """On the connections of one part to another."""

    @classmethod
    def targets(cls, rig):
        return rig.links

    def parts(self):
        return set(self.target)

    def begin(self):
        client, server = self.target
        self.link = Link(self.rig.port_of(server), self.rig.by_name.get(client))
        self.trouble()

    def trouble(self):
        raise NotImplementedError

    def end(self):
        self.link.mend()


class Cut(Network):
    name = "cut"
    length_s = (1.0, 10.0)

    def trouble(self):
        self.link.cut()


class Reset(Network):
    name = "reset"

    def trouble(self):
        self.link.refuse()


class Delay(Network):
    name = "delay"
    length_s = (2.0, 6.0)

    def choose(self, chance):
        self.delay_ms = chance.choice((20, 100, 400))
        self.detail = f" {self.delay_ms} ms"

    def trouble(self):
        self.link.disturb(delay_s=self.delay_ms / 1000)


class Loss(Network):
    name = "loss"
    length_s = (2.0, 6.0)

    def choose(self, chance):
        self.share = chance.choice((0.05, 0.2, 0.4))
        self.detail = f" {self.share:.0%}"

    def trouble(self):
        self.link.disturb(loss=self.share)


class Reorder(Network):
    name = "reorder"
    length_s = (2.0, 6.0)

    def choose(self, chance):
        self.jitter_ms = chance.choice((5, 50, 200))
        self.detail = f" within {self.jitter_ms} ms"

    def trouble(self):
        self.link.disturb(jitter_s=self.jitter_ms / 1000)


class Clock(Fault):
    """The wall clock of one of our programs jumps, and later back; the monotonic one does not, as on a
    machine whose time is set."""

    name = "clock"
    length_s = (2.0, 6.0)

    @classmethod
    def targets(cls, rig):
        return sorted(program.name for program in rig.programs if program is not rig.recorder)

    def choose(self, chance):
        self.offset_s = chance.choice((-86400, -3600, -5, 5, 3600, 86400))
        self.detail = f" {self.offset_s:+d} s"

    def begin(self):
        self.rig.clocks[self.target].set(self.offset_s)

    def end(self):
        self.rig.clocks[self.target].set(0)


class Database(Fault):
    """By other clients of PostgreSQL."""

    @classmethod
    def targets(cls, rig):
        return ["postgres"]

    def begin(self):
        self.sessions = []
        with contextlib.suppress(OSError, SessionError):  # it may be down by another fault
            self.trouble()

    def session(self):
        self.sessions.append(Session(self.rig.postgres))
        return self.sessions[-1]

    def trouble(self):
        raise NotImplementedError

    def end(self):
        for session in self.sessions:
            session.close()


def end_sessions(session):
    """All but those of this machine's own sockets."""
    session.run("select pg_terminate_backend(pid) from pg_stat_activity where pid <>"
                " pg_backend_pid() and client_addr is not null")


class Connections(Database):
    """All connections that there can be are taken, ours are ended: who comes back finds none."""

    name = "connections"
    length_s = (2.0, 6.0)

    def trouble(self):
        killer = self.session()
        self.ended_taking = threading.Event()
        self.taker = threading.Thread(target=self._take, daemon=True)
        self.taker.start()
        time.sleep(0.2)
        end_sessions(killer)

    def _take(self):
        """What becomes free is taken too."""
        while not self.ended_taking.is_set():
            try:
                self.session()
            except (OSError, SessionError):
                self.ended_taking.wait(0.02)

    def end(self):
        if getattr(self, "taker", None):
            self.ended_taking.set()
            self.taker.join()
        super().end()


class Slow(Database):
    """Queries that keep all processors busy for long."""

    name = "slow queries"
    length_s = (2.0, 8.0)

    def trouble(self):
        for _ in range(4):
            session = self.session()
            session.run("set client_connection_check_interval = 100")
            session.begin("select count(*) from todo.tasks a, todo.tasks b,"
                          " generate_series(1, 1000000) where a.title || b.title <> ''")


class Locks(Database):
    """Somebody holds what everybody needs, for longer than a statement may wait or shorter."""

    name = "locks"
    length_s = (1.0, 13.0)
    WAYS = {"rows of tasks": "select 1 from todo.tasks for update",
            "rows of the outbox": "select 1 from todo.outbox where published_at is null for update",
            "the tasks": "lock table todo.tasks in access exclusive mode",
            "the outbox": "lock table todo.outbox in access exclusive mode",
            "the inbox": "lock table todo.inbox in access exclusive mode"}

    def choose(self, chance):
        self.way = chance.choice(sorted(self.WAYS))
        self.detail = f", {self.way}"

    def trouble(self):
        self.session().run("begin")
        self.sessions[-1].run("set lock_timeout = '5s'")
        self.sessions[-1].run(self.WAYS[self.way])


class Keys(Fault):
    """The API keys of the agents expire before they have new ones."""

    name = "expired keys"
    length_s = (7.0, 10.0)  # a server remembers for 5 s what it has seen of a key
    targets = staticmethod(lambda rig: ["keys"])

    def begin(self):
        self.rig.credentials.expire()

    def end(self):
        self.rig.credentials.renew()


class Tokens(Fault):
    """The access tokens of the agents expire before they have new ones."""

    name = "expired tokens"
    length_s = (10.0, 13.0)  # the youngest is good for 8 s
    targets = staticmethod(lambda rig: ["tokens"])

    def begin(self):
        self.rig.credentials.tokens.is_closed = True

    def end(self):
        self.rig.credentials.tokens.is_closed = False


class NewKey(Fault):
    """The issuer signs with a new key and no longer publishes the old one, whose tokens agents still have."""

    name = "new key"
    length_s = (0.5, 2.0)
    targets = staticmethod(lambda rig: ["issuer"])

    def begin(self):
        self.rig.issuer.rotate()

    def end(self):
        """It stays."""


class Certificate(Fault):
    """A server has let its certificate expire, and all connections have to be made anew."""

    name = "expired certificate"
    length_s = (3.0, 8.0)
    targets = staticmethod(lambda rig: ["postgres", "smtp"])

    def begin(self):
        self.server = self.rig.by_name[self.target]
        self.before = self.rig.refusals(self.target)
        self.server.offer(self.rig.expired)
        self.from_s = time.time()
        if self.target == "postgres":
            session = Session(self.server)
            end_sessions(session)
            session.close()

    def end(self):
        self.to_s = time.time()
        try:
            if self.target == "postgres":
                self.see_refusal(self.target, self.before)
        finally:
            self.server.offer(self.rig.good)


class Identities(Fault):
    """Sentry is away until all that it has signed for sidecars and scheduler has expired, and their
    connections have to be made anew."""

    name = "expired identities"
    length_s = (SIDECAR_LIFE_S + 1.0, SIDECAR_LIFE_S + 3.0)

    @classmethod
    def targets(cls, rig):
        return ["sentry"] if rig.sentry else []

    def choose(self, chance):
        self.outage = (Kill if chance.random() < 0.5 else Stop)(self.rig, chance)
        self.outage.target = self.target
        self.detail = f" by {self.outage.name}"

    def parts(self):
        return {"sentry", "scheduler"}

    def begin(self):
        self.outage.begin()

    def end(self):
        before = self.rig.refusals("scheduler")
        link = Link(self.rig.port_of("scheduler"))
        link.refuse()
        time.sleep(0.5)
        link.mend()
        try:
            self.see_refusal("scheduler", before)
        finally:
            self.outage.end()


# The kinds that have many targets come more often.
BAG = (Kill, Kill, Kill, Stop, Stop, Stop, DiskFull, DiskFull, Cut, Cut, Reset, Delay, Loss, Reorder,
       Clock, Connections, Slow, Locks, Keys, Tokens, NewKey, Certificate, Certificate, Identities)


def rounds(rig, chance, first=()):
    """Without end: lists of faults. Each kind has come before one comes again, the `first` ones (names)
    before all; in a quarter of the rounds there are two at once, on different parts."""
    bag = []
    while True:
        if not bag:
            bag = [kind for kind in BAG if kind.targets(rig)]
            chance.shuffle(bag)
            bag.sort(key=lambda kind: kind.name in first)
            first = ()
        faults = [bag.pop()(rig, chance)]
        if bag and chance.random() < 0.25:
            second = bag.pop()(rig, chance)
            if second.parts() & faults[0].parts():
                yield [second]
            else:
                faults.append(second)
        yield faults
