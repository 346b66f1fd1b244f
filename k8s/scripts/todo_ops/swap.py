"""test-infrastructure-swap: see its --help."""

import contextlib
import json
import time

from .checks import age_of_oldest, broker_of
from .probe import Probe
from .report import Failure, until

OTHER = {"kafka": "redis", "redis": "kafka"}


def outbox(site):
    return json.loads(site.todo_mcp("outbox", "status", "--json"))


def is_through(site, broker, since):
    """All that was written before `since` has gone out, and the last event through this broker."""
    status = outbox(site)
    if any(topic["parked"] for topic in status["topics"]):
        raise Failure("events are parked: todo-mcp outbox parked says why")
    return (f"pubsub.{broker}" in (status["broker"] or "")
            and age_of_oldest(status) <= time.time() - since)


def once(probes):
    """Each has its one successor; a Failure where one has more."""
    numbers = {probe.title: len(probe.successors()) for probe in probes}
    twice = [title for title, number in numbers.items() if number > 1]
    if twice:
        raise Failure(f"handled twice: {', '.join(twice)}")
    return all(numbers.values())


def swap_to(site, report, arguments, broker, probes):
    probes.append(Probe(site, "swap-before").complete())
    with report.step(f"swap to {broker}", limit_s=arguments.limit,
                     why="a broker that fails or is replaced must cost no event") as entry:
        site.swap(broker, arguments)
        probes.append(until(lambda: Probe(site, "swap-after").complete(), arguments.limit,
                            "a tool call"))
        until(lambda: once(probes), arguments.limit, "each successor")
        entry["found"] = f"{len(probes)} completions, each with its one successor"
    with report.step(f"outbox on {broker}", limit_s=arguments.limit,
                     why="what waits in the outbox is not lost, but nobody has it yet") as entry:
        now = time.time()
        until(lambda: is_through(site, broker, now), arguments.limit, "the end of what waits")
        entry["found"] = f"nothing waits; last through pubsub.{broker}"


def run(site, report, arguments):
    probes = []
    with report.step("before", why="a swap of what does not work shows nothing") as entry:
        now = broker_of(site)
        if arguments.to == now:
            raise Failure(f"pubsub-kafka stands on {now} already")
        outbox(site)  # what cannot be asked now need not be waited for
        began = time.time()
        until(lambda: is_through(site, now, began), 60, "the end of what waits")
        entry["found"] = f"on {now}, nothing waits in the outbox"
    try:
        for broker in [arguments.to] if arguments.to else [OTHER[now], now]:
            swap_to(site, report, arguments, broker, probes)
        with report.step("once", why="what came again must change nothing") as entry:
            if not once(probes):
                raise Failure("a successor is gone")
            entry["found"] = f"still one successor for each of {len(probes)}"
    finally:
        for probe in probes:
            with contextlib.suppress(Failure):
                probe.remove()
