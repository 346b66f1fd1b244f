"""./todo faults campaign: faults of all kinds, in an order that a seed chooses, against the whole product
under load: PostgreSQL, the broker, sidecars and scheduler, two todo-mcp, the workers, an SMTP server.
After each the time is taken until all that was acknowledged has had its effect; at the end it is
checked from outside that each change was stored, published and applied once, in order, each mail sent
once, and that no program of ours has grown."""

import argparse
import contextlib
import os
import random
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
from campaign_load import CampaignLoad, CountingClient  # noqa: E402
from campaign_rig import CampaignRig  # noqa: E402
from campaign_report import Report, add_options  # noqa: E402
from events import IN_HAND, Keeper  # noqa: E402
from footprint import Footprints  # noqa: E402
from kinds import Certificate, Fault, Keys, Kill, Tokens, rounds  # noqa: E402
from stack.alone import alone  # noqa: E402
from verdict import Verdict  # noqa: E402
from workers_verdict import WorkersVerdict  # noqa: E402

RECOVERY_MAX_S = 120
CALM_S = 1.0
LONG_MIN = 30  # a campaign that says something of slopes


def casts_doubt(fault: Fault):
    """Whether a mail sent meanwhile may have to be sent once more: who sends it, or the server, can
    stop between the mail and the word that it was taken."""
    return any(name.startswith(("todo-email", "smtp")) for name in fault.parts())


class Recovery:
    """After a fault: each part is ready, the agents' calls are answered, and all that was in the
    outbox when the fault ended has reached its consumer, each reminder its reader."""

    def __init__(self, rig, load):
        self.rig, self.load = rig, load
        self.settled = 0  # all rows of the outbox up to this one were seen to be handled

    def _ask(self, sql):
        """None where the database does not answer."""
        with contextlib.suppress(subprocess.CalledProcessError):
            return int(self.rig.postgres.query(sql, subprocess.DEVNULL)[0][0])
        return None

    def _waits(self):
        """What is still to come, in words; empty when all is well."""
        unready = [part.name for part in self.rig.all
                   if not (part.is_running() and part.is_ready())]
        if unready:
            return f"not ready: {unready}"
        if self.mark is None:
            self.mark = self._ask("select coalesce(max(seq), 0) from todo.outbox")
        if ways := self.load.unanswered(self.answers):
            return f"no call is answered with a {' or a '.join(ways)}"
        topics = ", ".join(f"'{topic}'" for topic in self.rig.recorded_topics)
        count = self.mark is not None and self._ask(
            "select count(*) from todo.outbox o where seq > {0} and seq <= {1} and dead_reason is null"
            " and ((topic in ({2}) and not exists (select from todo.inbox i where i.event_id = o.id and"
            "  i.consumer = 'recorder')) or (type = 'ReminderSentEvent' and not exists (select from"
            "  todo.inbox i where i.event_id = o.id and i.consumer = 'email-delivery-service')))".format(
                self.settled, self.mark, topics))
        return "" if count == 0 else f"{count} events"

    def wait(self):
        """Seconds."""
        began = time.monotonic()
        self.mark, self.answers = None, CountingClient.answers.copy()
        while waits := self._waits():
            if fault := self.load.fault():
                raise fault
            if time.monotonic() - began > RECOVERY_MAX_S:
                raise AssertionError(f"no recovery within {RECOVERY_MAX_S} s: {waits}")
            time.sleep(0.05)
        self.settled = self.mark
        return time.monotonic() - began


class Campaign:
    def __init__(self, options):
        self.options = options
        self.report = Report(options)
        self.doubts, self.sidecar_faults = [], 0

    def hit(self, faults):
        """One round: all begin, one after the other, each ends after its time. New credentials come
        last, since they need the database."""
        begun = []
        try:
            for fault in faults:
                fault.began = time.time()
                begun.append(fault)
                fault.begin()
                time.sleep(0.3)
        finally:
            for fault in sorted(begun, key=lambda f: (isinstance(f, Keys), f.began + f.seconds)):
                time.sleep(max(0.0, fault.began + fault.seconds - time.time()))
                fault.end()
                fault.ended = time.time()
        for fault in faults:
            self.sidecar_faults += any("daprd" in name for name in fault.parts())
        self.doubts += [(f.began, f.ended) for f in faults if casts_doubt(f)]

    def strike(self, rig, load):
        recovery = Recovery(rig, load)
        recovery.wait()
        self.report.start()
        end = time.monotonic() + self.options.window_s
        for faults in rounds(rig, random.Random(f"{self.options.seed}-{self.options.transport}"),
                             self.options.first):
            if time.monotonic() > end:
                return
            names = " and ".join(map(str, faults))
            repeats = load.agents.repeats()
            try:
                self.hit(faults)
                seconds = recovery.wait()
                again = load.agents.repeats() - repeats
            except AssertionError as error:
                raise AssertionError(f"after {names}: {error}") from error
            self.report.round(faults, seconds, again)
            time.sleep(CALM_S)

    def judge(self, rig, load):
        options = self.options
        redis = options.transport == "dapr-redis"
        events = Verdict(rig, load.agents, subject=load.agent.subject,
                         may_overtake=IN_HAND * self.sidecar_faults if redis else 0)
        workers = WorkersVerdict(rig, load.workers, self.doubts)
        events.wait_until_settled(RECOVERY_MAX_S)
        workers.wait_until_settled(RECOVERY_MAX_S)
        rig.keeper.stop()
        rig.stop_workers()
        for verdict in (events, workers):
            verdict.check()
        workers.faults += self.check_mails(rig.sink.mails())
        return events, workers

    def check_footprints(self, footprints):
        if self.options.minutes >= LONG_MIN:
            for name, rise in footprints.leaks(self.options.slope):
                yield f"{name} has grown by {rise} KiB a minute"
        for name, found in footprints.figures().items():
            if found["MiB max"] > self.options.memory:
                yield f"{name} has grown to {found['MiB max']} MiB"
            if found["fds max"] > self.options.descriptors:
                yield f"{name} has had {found['fds max']} descriptors"

    def check_expiry(self):
        for kind, way in ((Keys, "key"), (Tokens, "token")):
            expired = any(isinstance(f, kind) for f, *_ in self.report.rows)
            if expired and not CountingClient.refusals[way]:
                yield f"each {way} expired, and no call was refused"

    def check_mails(self, mails):
        """Each was encrypted, and none went to a server whose certificate had expired."""
        times = [(f.from_s, f.to_s) for f, *_ in self.report.rows
                 if isinstance(f, Certificate) and f.target == "smtp"]
        for mail in mails:
            at = mail.envelope["at"]
            if not mail.envelope["tls"] or any(from_s < at < to_s for from_s, to_s in times):
                yield f"a mail should not have been sent: {mail.message['Message-ID']}"

    def run(self):
        options = self.options
        with CampaignRig(options.transport, options.replicas, options.disk) as rig:
            rig.start()
            load = CampaignLoad(rig, options.seed, options)
            rig.credentials, rig.keeper = load, Keeper(rig)
            footprints = Footprints(rig.programs)
            footprints.start()
            rig.keeper.start()
            load.start()
            try:
                self.strike(rig, load)
                load.end()
                events, workers = self.judge(rig, load)
            finally:
                load.stop()
                rig.keeper.stop()
                footprints.stop()
            self.report.footprints = footprints.figures()
            faults = [*events.faults, *workers.faults, *self.check_expiry(),
                      *self.check_footprints(footprints),
                      *(f"{name} was ended by signal {number}"
                        for name, number in rig.keeper.crashes if name in rig.by_name
                        and rig.by_name[name] in rig.programs)]
            restarts = rig.keeper.restarts - sum(isinstance(f, Kill)
                                                 for f, *_ in self.report.rows)
            self.report.figures = events.figures | workers.figures | {
                **{f"calls refused for a {way}": count
                   for way, count in sorted(CountingClient.refusals.items())},
                "parts that ended by themselves": restarts}
            self.report.faults = faults
            if faults:
                raise AssertionError("\n".join(faults))
            rig.stop()


def main():
    parser = argparse.ArgumentParser(prog="./todo faults campaign")
    add_options(parser)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=20, help="calls a second")
    parser.add_argument("--reminders", type=float, default=1, help="a second")
    parser.add_argument("--memory", type=float, default=64, help="MiB that a program may have")
    parser.add_argument("--slope", type=float, default=64, help="KiB a minute by which a program that"
                        f" lives over 15 min may grow, in a campaign of {LONG_MIN} min and more")
    parser.add_argument("--descriptors", type=int, default=256, help="that a program may have")
    parser.add_argument("--disk", type=int, help="MiB of a disk; default: as the length needs")
    parser.add_argument("--first", nargs="+", default=(), metavar="KIND",
                        help="kinds of faults that come before the others, as the report names them")
    options = parser.parse_args()
    alone(mounts=True)
    options.window_s = 60 * options.minutes
    options.disk = options.disk or int(300 + 0.3 * options.minutes * options.rate)
    campaign = Campaign(options)
    return campaign.report.conduct(campaign.run)


if __name__ == "__main__":
    sys.exit(main())
