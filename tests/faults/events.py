"""./todo faults events: kills with -9 all that carries events, at moments that a seed chooses, under a
load of tool calls. No acknowledged change may lose its event, none may take effect twice, and those
of a task stay in order."""

import argparse
import contextlib
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
from load import Load  # noqa: E402
from rig import TRANSPORTS, Rig  # noqa: E402
from verdict import Verdict  # noqa: E402

class Keeper(threading.Thread):
    """Starts again what has ended by itself, as an orchestrator does: todo-mcp ends when it finds no
    database at its start, a sidecar when it finds no broker. What is `away` is left alone."""

    def __init__(self, rig):
        super().__init__(daemon=True)
        self.rig, self.away, self.ended = rig, set(), threading.Event()
        self.restarts = 0
        self.crashes = []  # (name, signal) of what ended by itself, though nobody killed it

    def run(self):
        while not self.ended.wait(0.2):
            for part in self.rig.all:
                if part.name not in self.away and not part.is_running():
                    self.bring_back(part)

    def bring_back(self, part):
        code = part.process.returncode if part.process else 0
        if code < 0:
            self.crashes.append((part.name, -code))
        self.restarts += 1
        with contextlib.suppress(OSError):  # its disk may be full
            part.start(wait=False)

    def stop(self):
        self.ended.set()
        self.join()


class Faults(threading.Thread):
    """Kills each part `kills` times. When: at a call's number; how long it stays away: up to 1.5 s.
    Both come from the seed. What is hit next is not waited for, so that outages may overlap."""

    def __init__(self, rig, load, keeper, seed, kills):
        super().__init__(daemon=True)
        self.rig, self.load, self.keeper = rig, load, keeper
        chance = random.Random(f"{seed}-faults")
        moments = []
        for name in sorted(rig.parts):
            moments += [(int(load.calls * (0.05 + 0.85 * (n + chance.random()) / kills)), name,
                         chance.uniform(0.05, 1.5)) for n in range(kills)]
        self.moments = sorted(moments)
        self.done = []

    def run(self):
        for call, name, away_s in self.moments:
            while self.load.taken < call and self.load.is_running():
                time.sleep(0.02)
            self.keeper.away.add(name)
            self.rig.parts[name].kill()
            self.done.append(f"{call}:{name}")
            threading.Timer(away_s, self.keeper.away.discard, (name,)).start()


# Of a sidecar over Redis: see verdict.py.
IN_HAND = 3


def campaign(transport, seed, calls, kills, rate, clients=16):
    """The figures; an AssertionError says what does not hold."""
    with Rig(transport) as rig:
        rig.start()
        load = Load(rig.ports, seed, calls, clients=clients, rate=rate)
        keeper = Keeper(rig)
        faults = Faults(rig, load, keeper, seed, kills)
        for thread in (load, keeper, faults):
            thread.start()
        try:
            load.join()
            faults.join()
            killed = sum("daprd" in kill for kill in faults.done)
            verdict = Verdict(rig, load,
                              may_overtake=IN_HAND * killed if transport == "dapr-redis" else 0)
            began = time.monotonic()
            verdict.wait_until_settled()
        finally:
            load.ended.set()
            keeper.stop()
        verdict.figures |= {"transport": transport, "seed": seed, "kills": len(faults.done),
                            "ended by themselves": keeper.restarts - len(faults.done),
                            "load s": round(load.seconds, 1),
                            "settled s": round(time.monotonic() - began, 1)}
        verdict.check().require()
        rig.stop()
        return verdict.figures


def main():
    parser = argparse.ArgumentParser(prog="./todo faults events")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=4, help="of each part")
    parser.add_argument("--rate", type=int, default=200, help="calls a second")
    parser.add_argument("--transport", choices=(*TRANSPORTS, "all"), default="all")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    transports = TRANSPORTS if arguments.transport == "all" else (arguments.transport,)
    failed = False
    for transport in transports:
        try:
            figures = campaign(transport, arguments.seed, arguments.calls, arguments.kills,
                               arguments.rate)
            print(", ".join(f"{k} {v}" for k, v in figures.items()), flush=True)
        except AssertionError as error:
            print(f"{transport}: {error}", flush=True)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
