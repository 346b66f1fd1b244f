"""test-guaranteed-job-execution: see its --help."""

import contextlib
import re
import time

from .checks import first_pod
from .names import JOB, NOTIFICATION
from .probe import soon
from .report import Failure, until

UNITS = {"ms": 0.001, "s": 1, "m": 60}
ROUTE = f'route="/job/{JOB}"'


def interval_of(site):
    """Seconds, of the job as the scheduler has it; None where it has none."""
    with first_pod(site, NOTIFICATION).sidecar() as web:
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
    """Runs from now on, of the replicas that there are at the time."""

    def __init__(self, site):
        self.site, self.first = site, runs(site.pods(NOTIFICATION))

    def by_pod(self):
        return {name: int(n - self.first.get(name, 0))
                for name, n in runs(self.site.pods(NOTIFICATION)).items()}

    def total(self):
        return sum(self.by_pod().values())


def one_an_interval(site, interval, arguments):
    """Counts from one run on, to the middle between two."""
    first = Counter(site)
    until(first.total, arguments.timeout, "a run of the job")
    counter, began = Counter(site), time.monotonic()
    time.sleep((arguments.intervals + 0.5) * interval)
    found, seconds = counter.by_pod(), time.monotonic() - began
    if not -1.5 <= sum(found.values()) - seconds / interval <= 1:
        raise Failure(f"{sum(found.values())} runs in {seconds / interval:.1f} intervals: {found}")
    return (f"{sum(found.values())} runs in {seconds / interval:.1f} intervals of {interval:g} s: "
            + ", ".join(f"{name} {n}" for name, n in found.items()))


def with_replicas(site, report, arguments, interval):
    with report.step("replicas") as entry:
        site.scale(NOTIFICATION, arguments.replicas)
        until(lambda: site.replicas(NOTIFICATION)[1] == arguments.replicas, arguments.timeout,
              f"{arguments.replicas} ready replicas")
        entry["found"] = f"{arguments.replicas} ready"
    with report.step("once an interval", "replicas must not do the same work twice") as entry:
        entry["found"] = one_an_interval(site, interval, arguments)
    lose_one(site, report, arguments, interval)
    site.heal()
    until(lambda: site.replicas(NOTIFICATION)[1] == arguments.replicas, arguments.timeout,
          f"{arguments.replicas} ready replicas")
    with report.step("scheduler restarts", "jobs outlive the scheduler that keeps them") as entry:
        began = time.monotonic()
        site.restart_scheduler()
        counter = Counter(site)
        if until(lambda: interval_of(site), arguments.timeout, f"the job {JOB}") != interval:
            raise Failure("the job has another interval")
        until(counter.total, arguments.timeout, "a run of the job")
        gap = time.monotonic() - began
        entry["found"] = (f"runs again after {gap:.1f} s; "
                          + one_an_interval(site, interval, arguments))


def lose_one(site, report, arguments, interval):
    """The replica that ran last dies, and a reminder is due meanwhile."""
    counter = Counter(site)
    until(counter.total, arguments.timeout, "a run of the job")
    last = next(name for name, n in counter.by_pod().items() if n)
    victim = next(pod for pod in site.pods(NOTIFICATION) if pod.name == last)
    with site.tools() as tools:
        task_id = tools.call("add_task", title="a reminder while a replica is gone",
                             due_date=soon(hours=2))["id"]
        tools.call("set_reminder", task_id=task_id, remind_at=soon(seconds=1))
    try:
        with report.step("a replica dies", "another takes its runs") as entry:
            site.kill(victim)
            began, counter = time.monotonic(), Counter(site)
            until(counter.total, arguments.timeout, "a run of the others")
            gap = time.monotonic() - began
            entry["found"] = (f"{last} is gone; the others run after {gap:.1f} s; "
                              + one_an_interval(site, interval, arguments))
        with report.step("reminder", "a reminder is sent whoever is gone"):
            with site.tools() as tools:
                until(lambda: tools.call("get_task", task_id=task_id)["reminder"]["sent"],
                      arguments.timeout, "the reminder")
    finally:
        with contextlib.suppress(Failure), site.tools() as tools:
            tools.call("delete_task", task_id=task_id)


def run(site, report, arguments):
    with report.step("before", "a job that does not run now shows nothing") as entry:
        interval = until(lambda: interval_of(site), arguments.timeout if site.pods(NOTIFICATION)
                         else 0, f"the job {JOB}")
        wanted = site.replicas(NOTIFICATION)[0]
        entry["found"] = f"{JOB} every {interval:g} s"
    try:
        with_replicas(site, report, arguments, interval)
    finally:
        with contextlib.suppress(Failure):
            site.scale(NOTIFICATION, wanted)
            site.heal()
