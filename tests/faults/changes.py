"""./todo faults changes: what an operator changes while the product works, under a load of tool calls:
another broker behind the same component, with a backlog in the old one that no consumer has seen; and
USE_DAPR from true to false and back. Nothing is lost."""

import argparse
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
from load import Load  # noqa: E402
from rig import Rig  # noqa: E402
from todo_server import wait_for  # noqa: E402
from verdict import Verdict  # noqa: E402

SWAP_LIMIT_S = 300


def published(rig):
    """The events that a broker has taken, whether or not a consumer has seen them."""
    return {row[0] for row in rig.postgres.query(
        "select id from todo.outbox where published_at is not null")}


def recorded(rig):
    return {row[0] for row in rig.postgres.query("select event_id from recorder.recorded")}


def swap_broker(rig, broker, backlog_s):
    """The time until all that the old broker held has been handled by way of the new one. The
    consumers stand still long enough for a backlog in the old broker, which is not drained. A sidecar
    that sees the file change takes the new broker at once, before the relay knows of it, so that an
    event may overtake those which are still in the old one: so the sidecars are stopped first."""
    rig.recorder.stop()
    rig.sidecars[-1].stop()
    time.sleep(backlog_s)
    backlog = published(rig) - recorded(rig)
    if not backlog:
        raise AssertionError("the old broker has no backlog, so this shows nothing")
    began = time.monotonic()
    for sidecar in rig.sidecars[:-1]:
        sidecar.stop()
    rig.transport = f"dapr-{broker}"
    rig.write_component()
    for sidecar in rig.sidecars:
        sidecar.start(wait=False)
    rig.recorder.start()
    wait_for(lambda: backlog <= recorded(rig), SWAP_LIMIT_S, f"the backlog of {len(backlog)}")
    return time.monotonic() - began, len(backlog)


def swap(rig, load, pause_s):
    figures = {}
    for broker in ("redis", "kafka"):
        time.sleep(pause_s)
        seconds, backlog = swap_broker(rig, broker, pause_s)
        figures[f"to {broker}"] = f"{seconds:.1f} s with a backlog of {backlog}"
    time.sleep(pause_s)
    return figures


def toggle(rig, load, pause_s):
    """One program after the other, each with its sidecar where it has one, as a rolling update does.
    A sidecar asks its application once what it subscribes to, so the recorder's starts with it."""
    figures = {}
    for transport in ("kafka", "dapr-kafka"):
        time.sleep(pause_s)
        began = time.monotonic()
        rig.change_transport(transport)
        for program, sidecar in zip((*rig.replicas, rig.recorder), rig.sidecars):
            program.stop()
            if transport == "kafka":
                sidecar.stop()
            else:
                sidecar.start(wait=False)
            program.start()
        figures[f"to {transport}"] = f"{time.monotonic() - began:.1f} s"
    time.sleep(pause_s)
    return figures


SCENARIOS = {"swap": swap, "toggle": toggle}


def scenario(name, seed, rate, pause_s):
    with Rig("dapr-kafka", has_both=name == "swap") as rig:
        rig.start()
        load = Load(rig.ports, seed, calls=1 << 40, rate=rate).start()
        try:
            figures = SCENARIOS[name](rig, load, pause_s)
        except BaseException:
            load.ended.set()
            raise
        load.end()
        load.join()
        verdict = Verdict(rig, load)
        verdict.figures = {"scenario": name, "seed": seed, **figures}
        verdict.wait_until_settled()
        verdict.check().require()
        rig.stop()
        return verdict.figures


def main():
    parser = argparse.ArgumentParser(prog="./todo faults changes")
    parser.add_argument("scenario", nargs="*", choices=[*SCENARIOS, []], default=[])
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--rate", type=int, default=200, help="calls a second")
    parser.add_argument("--pause", type=float, default=8, help="seconds between two steps")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    failed = False
    for name in arguments.scenario or SCENARIOS:
        try:
            figures = scenario(name, arguments.seed, arguments.rate, arguments.pause)
            print(", ".join(f"{k} {v}" for k, v in figures.items()), flush=True)
        except AssertionError as error:
            print(f"{name}: {error}", flush=True)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
