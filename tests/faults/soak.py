"""./todo faults soak: the whole product for hours at half of what it takes, with no fault. Memory,
descriptors, outbox, inbox and latency must be flat, and at the end each acknowledged change must have
been stored, published and applied once, in order, each reminder mailed once."""

import argparse
import math
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
from campaign_report import Report, add_options  # noqa: E402
from footprint import Footprints  # noqa: E402
from soak_judge import Judge, quarters, slopes_h  # noqa: E402
from soak_load import SoakLoad  # noqa: E402
from soak_rig import SoakRig  # noqa: E402
from stack.alone import alone  # noqa: E402
from tabular import markdown  # noqa: E402
from verdict import Verdict  # noqa: E402
from workers_verdict import WorkersVerdict, percentile  # noqa: E402

SETTLE_S = 300
FIRST_RATE, RATE_STEP = 20, 1.4
STEP_S, STEP_WARM_S = 15, 5
# Below it halves and quarters say nothing: slopes and latencies are told, not judged.
JUDGED_MINUTES = 30
MIB = 1 << 20


def processors():
    """(seconds that all processors worked, that they could have)"""
    with open("/proc/stat", encoding="ascii") as f:
        ticks = list(map(int, f.readline().split()[1:9]))
    scale = os.sysconf("SC_CLK_TCK")
    return (sum(ticks) - ticks[3] - ticks[4]) / scale, sum(ticks) / scale


class Probe:
    """The highest rate that the chain keeps up with: calls are answered, and what is not yet recorded
    stays within two seconds' worth."""

    def __init__(self, rig, load):
        self.rig, self.load = rig, load

    def _backlog(self):
        topics = ", ".join(f"'{topic}'" for topic in self.rig.recorded_topics)
        return int(self.rig.postgres.value(
            f"select (select count(*) from {self.rig.outbox} where topic in ({topics}))"
            " - (select count(*) from recorder.recorded)"))

    def _step(self, rate):
        """Why not, or nothing; and a line of figures."""
        self.load.agents.pace(rate)
        time.sleep(STEP_WARM_S)
        before = self._backlog()
        answered, began, own = self.load.answered(), time.monotonic(), time.process_time()
        worked, could = processors()
        time.sleep(STEP_S)
        if fault := self.load.fault():
            raise fault
        seconds = time.monotonic() - began
        got = (self.load.answered() - answered) / seconds
        own = (time.process_time() - own) / seconds
        busy = [b - a for a, b in zip((worked, could), processors())]
        after = self._backlog()
        told = (f"{rate} calls a second: {got:.0f} answered, {after} events on their way ({before}"
                f" before), processors {100 * busy[0] / busy[1]:.0f} % busy, the load's own share of"
                f" one {100 * own:.0f} %")
        if got < 0.95 * rate:
            return self._why_slow(own, busy[0] / busy[1]), told
        if after > 2 * rate and after > before:
            return "the way of the events", told
        return "", told

    def _why_slow(self, own, busy):
        agents = f"{self.load.agents_count} agents with one call at a time each"
        if own > 0.8:
            return "the load itself, one processor's worth of Python"
        return f"the processors, and {agents}" if busy > 0.95 else agents

    def find(self):
        """(calls a second, what was the limit)"""
        best, rate = 0, FIRST_RATE
        while True:
            limit, told = self._step(rate)
            print(told + (f"; too much for {limit}" if limit else ""), flush=True)
            if limit:
                if not best:
                    raise AssertionError(f"not even {rate} calls a second are kept up with: {limit}")
                return best, limit
            best, rate = rate, math.ceil(rate * RATE_STEP)


class Watch:
    """What the database holds every 10 s, a line each minute."""

    every_s = 10
    columns = ("unpublished", "outbox rows", "inbox rows", "tasks", "outbox MiB", "inbox MiB",
               "tasks MiB")

    def __init__(self, rig, load, bucket_s):
        self.rig, self.load, self.bucket_s = rig, load, bucket_s
        self.began = time.monotonic()
        self.began_at = time.time()
        self.series = {name: [] for name in self.columns}
        self.told = 0

    def _sample(self):
        row = self.rig.postgres.query(
            "select (select count(*) from todo.outbox where published_at is null),"
            " (select count(*) from todo.outbox), (select count(*) from todo.inbox),"
            " (select count(*) from todo.tasks), " + ", ".join(
                f"pg_total_relation_size('todo.{name}') / {MIB}.0"
                for name in ("outbox", "inbox", "tasks")))[0]
        now = time.monotonic() - self.began
        for name, value in zip(self.columns, row):
            self.series[name].append((now, float(value)))

    def _tell(self):
        now = time.monotonic() - self.began
        if now < (self.told + 1) * self.bucket_s:
            return
        self.told += 1
        recent = sorted(self.load.since(self.began + now - self.bucket_s))
        last = ", ".join(f"{name} {found[-1][1]:.0f}" for name, found in self.series.items())
        print(f"{now / 60:6.1f} min  {len(recent)} calls, p50 {1000 * percentile(recent, 0.5):.1f} ms,"
              f" p99 {1000 * percentile(recent, 0.99):.1f} ms; {last}", flush=True)

    def run(self, seconds):
        """Until then; a part that ends or a call that fails ends it."""
        while (now := time.monotonic() - self.began) < seconds:
            if fault := self.load.fault():
                raise fault
            if ended := [part.name for part in self.rig.all if not part.is_running()]:
                raise AssertionError(f"{ended} ended by themselves")
            self._sample()
            self._tell()
            time.sleep(max(0.0, min(self.every_s, seconds - now)))
        self.seconds = time.monotonic() - self.began

    def latencies(self):
        """{name: [(seconds, ms)]} of each minute: of calls, and of events from their commit to their
        effect in the recorder."""
        calls = {}
        for at, seconds in self.load.times():
            if at - self.began < self.seconds:
                calls.setdefault(int((at - self.began) / self.bucket_s), []).append(1000 * seconds)
        rows = self.rig.postgres.query(
            f"select floor((extract(epoch from created_at) - {self.began_at}) / {self.bucket_s}) m,"
            " percentile_disc(array[0.5, 0.99]) within group (order by 1000 *"
            f" extract(epoch from r.at - created_at)) from {self.rig.outbox} o join"
            " recorder.recorded r on r.event_id = o.id group by m order by m")
        effects = {int(m): list(map(float, found.strip("{}").split(","))) for m, found in rows}
        last = int(self.seconds / self.bucket_s)
        found = {}
        for n, share in enumerate((0.5, 0.99)):
            found[f"call p{share * 100:.0f}"] = [
                (m * self.bucket_s, percentile(calls.get(m, []), share)) for m in range(last)]
            found[f"commit to effect p{share * 100:.0f}"] = [
                (m * self.bucket_s, effects[m][n] if m in effects else math.inf)
                for m in range(last)]
        return found


class SoakReport(Report):
    name = "soak"

    def __init__(self, options):
        super().__init__(options)
        self.tables = []

    def _what(self):
        return f"{self.options.rate} calls a second"

    def _tables(self):
        yield from self.tables


class Soak:
    def __init__(self, options):
        self.options = options
        self.report = SoakReport(options)
        self.window_s = options.window_s
        self.warm_s = min(self.window_s / 2, max(300, self.window_s / 10))
        self.limit = "--rate"

    def find_rate(self):
        options = self.options
        if options.rate:
            return
        options.rate, seconds, options.window_s = FIRST_RATE, options.window_s, 1
        with self._rig() as rig:
            rig.start()
            load = SoakLoad(rig, options.seed, options)
            load.start()
            try:
                best, self.limit = Probe(rig, load).find()
            finally:
                load.stop()
        options.rate, options.window_s = max(1, best // 2), seconds
        self.limit = f"half of {best}, more was too much for {self.limit}"
        print(f"{options.rate} calls a second: {self.limit}", flush=True)

    def _rig(self):
        return SoakRig(self.options.transport, self.options.replicas,
                       max(10, min(600, int(self.window_s / 12))))

    def _warm(self, series):
        return [s for s in series if s[0] >= self.warm_s]

    def _check_programs(self, judge, footprints):
        rows = []
        lives = sorted(footprints.lives.values(), key=lambda life: life.name)
        for life in lives:
            samples = self._warm(life.samples)
            kib, fds = ([(s[0], s[n]) for s in samples] for n in (1, 2))
            limit, found = judge.memory_limit(kib), slopes_h(kib)
            first, last = quarters(kib)
            rows.append((life.name, f"{first / 1024:.1f}", f"{last / 1024:.1f}",
                         *(f"{value:.0f}" for value in found), f"{limit:.0f}",
                         f"{quarters(fds)[0]:.0f}", f"{quarters(fds)[1]:.0f}",
                         f"{slopes_h(fds)[0]:.2f}"))
            if self.options.minutes >= JUDGED_MINUTES:
                judge.memory(life.name, kib)
                judge.descriptors(life.name, fds)
        self.report.tables.append(markdown(
            ["program", "MiB, first quarter", "last", "KiB/h", "first half", "second half",
             "limit", "descriptors, first quarter", "last", "an hour"], rows))
        if {life.name for life in lives} != {program.name for program in self.rig.programs} \
                or len(lives) != len(self.rig.programs):
            judge.faults.append(f"not each program had one life: {[life.name for life in lives]}")

    def _check_series(self, judge, watch):
        rate = self.options.rate
        rows = []
        for name, series in watch.latencies().items():
            warm = self._warm(series)
            rows.append((name + ", ms", *(f"{v:.1f}" for v in quarters(warm)),
                         f"{max(v for _, v in warm):.1f}"))
            judge.most(name, warm, 1000 * SETTLE_S)
            if self.options.minutes >= JUDGED_MINUTES:
                judge.latency(name, warm)
        for name, series in watch.series.items():
            warm = self._warm(series)
            digits = 1 if "MiB" in name else 0
            rows.append((name, *(f"{v:.{digits}f}" for v in quarters(warm)),
                         f"{max(v for _, v in warm):.{digits}f}"))
            judge.size(name, warm, 16 if "MiB" in name else 20 * rate)
        judge.most("unpublished", watch.series["unpublished"], 60 * rate)
        self.report.tables.append(markdown(["", "first quarter", "last quarter", "max"], rows))

    def _check_load(self, judge, load, watch):
        answered = sum(at - watch.began < watch.seconds for at, _ in load.times()) / watch.seconds
        if answered < 0.95 * self.options.rate:
            judge.faults.append(f"{answered:.1f} calls a second were answered instead of"
                                f" {self.options.rate}")
        purged = [int(self.rig.postgres.value(f"select count(*) from soak.purged_{name}"))
                  for name in ("outbox", "inbox")]
        if not all(purged):
            judge.faults.append(f"nothing was purged: outbox and inbox {purged}")
        hourly = answered * 3600 / len(self.rig.replicas)
        self.report.figures |= {
            "rate": f"{self.options.rate} calls a second, {self.limit}",
            "answered a second": f"{answered:.1f}", "rows purged, outbox and inbox": purged,
            "least leak of todo-mcp that is refused": f"{256 * 1024 / hourly:.1f} bytes a call"}

    def _invariants(self, load):
        events = Verdict(self.rig, load.agents, subject=load.agent.subject)
        workers = WorkersVerdict(self.rig, load.workers, [])
        for verdict in (events, workers):
            verdict.wait_until_settled(SETTLE_S)
        self.rig.stop_workers()
        for verdict in (events, workers):
            verdict.check()
        self.report.figures |= events.figures | workers.figures
        return events.faults + workers.faults

    def run(self):
        self.find_rate()
        with self._rig() as self.rig:
            self.rig.start()
            load = SoakLoad(self.rig, self.options.seed, self.options)
            watch = Watch(self.rig, load, min(60, self.window_s / 6))
            footprints = Footprints(self.rig.programs, min(10, self.window_s / 60))
            footprints.start()
            self.report.start()
            load.start()
            try:
                watch.run(self.window_s)
                footprints.stop()
                load.end()
                faults = self._invariants(load)
            finally:
                load.stop()
                footprints.ended.set()
            judge = Judge()
            self._check_programs(judge, footprints)
            self._check_series(judge, watch)
            self._check_load(judge, load, watch)
            if faults + judge.faults:
                raise AssertionError("\n".join(faults + judge.faults))
            self.rig.stop()


def main():
    parser = argparse.ArgumentParser(prog="./todo faults soak")
    add_options(parser)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--rate", type=int, help="calls a second; default: half of what is found"
                                                 " to be the most that is kept up with")
    parser.add_argument("--reminders", type=float, default=0.5, help="a second")
    options = parser.parse_args()
    alone()
    options.window_s = 60 * options.minutes
    soak = Soak(options)
    return soak.report.conduct(soak.run)


if __name__ == "__main__":
    sys.exit(main())
