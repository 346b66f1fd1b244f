"""./todo faults workers: reminders of many users due within a minute, and tasks that repeat
completed in it, while replicas of the workers, sidecars, the broker and the scheduler are killed
with -9 at moments that a seed chooses. Each reminder becomes one mail, each completion one
successor."""

import argparse
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
from events import Keeper  # noqa: E402
from rig import TRANSPORTS  # noqa: E402
from workers_load import WorkersLoad  # noqa: E402
from workers_rig import WorkersRig  # noqa: E402
from workers_verdict import WorkersVerdict  # noqa: E402

AWAY_S = (0.05, 1.5)
SETTLE_S = 90


def schedule(victims, seed, count, window_s):
    """[(seconds into the window, name, seconds away)]: `count` kills, by default one of each part
    that there is once (the broker, the scheduler) and two among the replicas of each other. None
    later than nine tenths of the window, so that what it does is seen."""
    chance = random.Random(f"{seed}-faults")
    kinds = sorted(victims) + sorted(kind for kind in victims if len(victims[kind]) > 1)
    chance.shuffle(kinds)
    count = len(kinds) if count is None else count
    return [(0.9 * window_s * (n + chance.random()) / count,
             chance.choice(victims[kinds[n % len(kinds)]]), chance.uniform(*AWAY_S))
            for n in range(count)]


class Faults(threading.Thread):
    def __init__(self, rig, load, keeper, moments):
        super().__init__(daemon=True)
        self.rig, self.load, self.keeper, self.moments = rig, load, keeper, moments
        self.kills, self.doubts = 0, []

    def run(self):
        for offset_s, name, away_s in self.moments:
            if self.load.ended.wait(max(0.0, self.load.start_at + offset_s - time.time())):
                return
            self.keeper.away.add(name)
            now = time.time()
            self.kills += 1
            if name.startswith("todo-email"):
                self.doubts.append((now, now))
            self.rig.parts[name].kill()
            threading.Timer(away_s, self.keeper.away.discard, (name,)).start()


def run(rig, options):
    """The verdict, once all work is done that there was."""
    moments = schedule(rig.victims(), options.seed, options.faults, options.window)
    load = WorkersLoad(rig, options.seed, options.tasks, options.window,
                       lead_s=5 + options.tasks / 40)
    keeper = Keeper(rig)
    faults = Faults(rig, load, keeper, moments)
    verdict = WorkersVerdict(rig, load, faults.doubts)
    load.add_users()
    load.start()
    for thread in (keeper, faults):
        thread.start()
    try:
        load.join()
        faults.join()
        verdict.wait_until_settled(load.start_at + load.window_s + SETTLE_S - time.time())
    finally:
        load.stop()
        keeper.stop()
    verdict.figures = {"transport": options.transport, "seed": options.seed, "kills": faults.kills,
                       "ended by themselves": keeper.restarts - faults.kills,
                       "known late": len(load.late())}
    return verdict


def campaign(options):
    """The figures; an AssertionError says what does not hold."""
    with WorkersRig(options.transport, options.replicas) as rig:
        rig.start()
        verdict = run(rig, options)
        rig.stop_workers()  # a mail that is sent twice is there by then
        verdict.check().require(options.p95)
        rig.stop()
        return verdict.figures


def main():
    parser = argparse.ArgumentParser(prog="./todo faults workers")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--window", type=float, default=60, help="seconds in which they are due")
    parser.add_argument("--replicas", type=int, default=3, help="of each worker")
    parser.add_argument("--faults", type=int, help="kills; default: two of each kind, 0: none")
    parser.add_argument("--p95", type=float, default=10,
                        help="seconds from a reminder's time to its mail that are too many")
    parser.add_argument("--transport", choices=(*TRANSPORTS, "all"), default="all")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    transports = TRANSPORTS if options.transport == "all" else (options.transport,)
    failed = False
    for options.transport in transports:
        try:
            print(", ".join(f"{k} {v}" for k, v in campaign(options).items()), flush=True)
        except AssertionError as error:
            print(f"{options.transport}: {error}", flush=True)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
