"""test-guaranteed-job-execution: see its --help."""

import contextlib
import re
import time

from .names import JOB, NOTIFICATION
from .probe import soon
from .report import Failure, until

UNITS = {"ms": 0.001, "s": 1, "m": 60}
ROUTE = f'route="/job/{JOB}"'


def interval_of(site):
    """Seconds, of the job as the scheduler has it; None where it has none."""
    with site.pods(NOTIFICATION)[0].sidecar() as web:
        status, job = web.get(f"/v1.0-alpha1/jobs/{JOB}")
    found = status == 200 and re.fullmatch(r"@every (\d+)(ms|s|m)", job.get("schedule", ""))
    return int(found[1]) * UNITS[found[2]] if found else None


def runs(pods):
    """{replica: runs of the job}"""
    found = {}
    for pod in pods:
        with pod.app() as web:
            found[pod.name] = sum(value for name, value in web.samples().items()
                                  if name.startswith("http_requests_total") and ROUTE in name)
    return found


class Counter:
    """Runs of these replicas from now on."""

    def __init__(self, pods):
        self.pods, self.first = pods, runs(pods)

    def by_pod(self):
        return {name: int(n - self.first[name]) for name, n in runs(self.pods).items()}

    def total(self):
        return sum(self.by_pod().values())


def one_an_interval(pods, interval, arguments):
    """Counts from one run on, to the middle between two."""
    first = Counter(pods)
    until(first.total, arguments.timeout, "a run of the job")
    counter, began = Counter(pods), time.monotonic()
    time.sleep((arguments.intervals + 0.5) * interval)
    found, seconds = counter.by_pod(), time.monotonic() - began
    if not -1.5 <= sum(found.values()) - seconds / interval <= 1:
        raise Failure(f"{sum(found.values())} runs in {seconds / interval:.1f} intervals: {found}")
    return (f"{sum(found.values())} runs in {seconds / interval:.1f} intervals of {interval:g} s: "
            + ", ".join(f"{name} {n}" for name, n in found.items()))


def with_replicas(site, report, arguments):
    with report.step("replicas") as entry:
        site.scale(NOTIFICATION, arguments.replicas)
        until(lambda: site.replicas(NOTIFICATION)[1] == arguments.replicas, arguments.timeout,
              f"{arguments.replicas} ready replicas")
        interval = until(lambda: interval_of(site), arguments.timeout, f"the job {JOB}")
        entry["found"] = f"{arguments.replicas} ready; {JOB} every {interval:g} s"
    with report.step("once an interval", "replicas must not do the same work twice") as entry:
        entry["found"] = one_an_interval(site.pods(NOTIFICATION), interval, arguments)
    lose_one(site, report, arguments, interval)
    site.heal()
    until(lambda: site.replicas(NOTIFICATION)[1] == arguments.replicas, arguments.timeout,
          f"{arguments.replicas} ready replicas")
    with report.step("scheduler restarts", "jobs outlive the scheduler that keeps them") as entry:
        began, counter = time.monotonic(), None
        site.restart_scheduler()
        counter = Counter(site.pods(NOTIFICATION))
        if until(lambda: interval_of(site), arguments.timeout, f"the job {JOB}") != interval:
            raise Failure("the job has another interval")
        until(counter.total, arguments.timeout, "a run of the job")
        gap = time.monotonic() - began
        entry["found"] = (f"runs again after {gap:.1f} s; "
                          + one_an_interval(site.pods(NOTIFICATION), interval, arguments))


def lose_one(site, report, arguments, interval):
    """The replica that ran last dies, and a reminder is due meanwhile."""
    pods = site.pods(NOTIFICATION)
    counter = Counter(pods)
    until(counter.total, arguments.timeout, "a run of the job")
    last = next(name for name, n in counter.by_pod().items() if n)
    rest = [pod for pod in pods if pod.name != last]
    with site.tools() as tools:
        task_id = tools.call("add_task", title="a reminder while a replica is gone",
                             due_date=soon(hours=2))["id"]
        tools.call("set_reminder", task_id=task_id, remind_at=soon(seconds=1))
    try:
        with report.step("a replica dies", "another takes its runs") as entry:
            site.kill(next(pod for pod in pods if pod.name == last))
            began, counter = time.monotonic(), Counter(rest)
            until(counter.total, arguments.timeout, "a run of the others")
            gap = time.monotonic() - began
            entry["found"] = (f"{last} is gone; the others run after {gap:.1f} s; "
                              + one_an_interval(rest, interval, arguments))
        with report.step("reminder", "a reminder is sent whoever is gone"):
            with site.tools() as tools:
                until(lambda: tools.call("get_task", task_id=task_id)["reminder"]["sent"],
                      arguments.timeout, "the reminder")
    finally:
        with contextlib.suppress(Failure), site.tools() as tools:
            tools.call("delete_task", task_id=task_id)


def run(site, report, arguments):
    wanted = site.replicas(NOTIFICATION)[0]
    if not wanted:
        raise Failure(f"{NOTIFICATION} is not deployed", "setup-dapr")
    try:
        with_replicas(site, report, arguments)
    finally:
        with contextlib.suppress(Failure):
            site.scale(NOTIFICATION, wanted)
            site.heal()
