"""What each program costs: the size of its file, memory when idle and under load, the time from its
start until it is ready, CPU time for 1,000 calls or events; daprd beside ours. CPU time depends on
the machine's other work, instructions (of the record that ./todo bench instructions keeps) hardly.

usage: ./todo bench footprint [--quick] [--report FILE]
  --quick   a check that the bench works, not a measurement
  --report  where the tables go, in Markdown

The last line is one JSON object. See docs/benchmarks.md."""

import argparse
import contextlib
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import extra  # noqa: E402
import load  # noqa: E402
import tabular  # noqa: E402
from event_rig import EventRig, together, tool_call  # noqa: E402
from goals import AT_MOST, number, verdict  # noqa: E402
from instructions import RECORD, Connection  # noqa: E402
from stack import PostgresServer, SmtpSink, Worker, part  # noqa: E402
from todo_server import wait_for  # noqa: E402

CONNECTIONS = 32
MAIL_CONSUMER, SERIES_CONSUMER = "email-delivery-service", "recurring-task-service"
GOALS = {"todo-mcp": {"idle": (12, 6), "load": (20, 12)},  # MB: floor, goal
         **{name: {"idle": (10, 5)} for name in ("todo-notification", "todo-email",
                                                 "todo-recurring")}}
ADD_DUE = """
with t as (insert into todo.tasks (user_id, title, timezone, reminded_for)
           select (select id from todo.users where subject = 'bench'), 'task ' || n, 'UTC',
                  'infinity' from generate_series(1, {count}) n returning user_id, id)
insert into todo.reminders (user_id, task_id, remind_at)
select user_id, id, clock_timestamp() from t"""


# ---- what is read of a program -------------------------------------------------------------------


def stripped_mb(path):
    with tempfile.NamedTemporaryFile() as f:
        subprocess.run(["strip", "-o", f.name, path], check=True)
        return os.path.getsize(f.name) / 1e6


def exact_mb(pid, what):
    """Rss, or Anonymous: what no other process could share, as heap, stacks, and data that was
    relocated or written. The figures of /proc/PID/status are some pages off."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(re.search(rf"^{what}:\s+(\d+)", f.read(), re.MULTILINE).group(1)) / 1024


def settle(pid, quiet_s, most_s):
    """Until its residence has not changed for so long, or so much time is over."""
    end = time.monotonic() + most_s
    now, since = extra.resident_mb(pid), time.monotonic()
    while time.monotonic() < min(end, since + quiet_s):
        time.sleep(0.25)
        if extra.resident_mb(pid) != now:
            now, since = extra.resident_mb(pid), time.monotonic()


def ready_ms(process, port, path):
    """From its start until `path` is answered with 2xx."""
    def is_ready():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with contextlib.suppress(OSError, http.client.HTTPException), \
                contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status < 300
        return False

    began = time.perf_counter()
    process.start(wait=False)
    while not is_ready():
        if time.perf_counter() > began + process.start_seconds:
            raise TimeoutError(f"{process.name} is not ready:\n{process.log_tail()}")
        time.sleep(0.001)
    return (time.perf_counter() - began) * 1000


class Work:
    """CPU time and the most memory of a process meanwhile."""

    def __init__(self, pid):
        self.pid = pid
        extra.forget_peak(pid)
        self.before = load.cpu_us(pid, False)

    def end(self, count):
        return {"load_mb": extra.resident_mb(self.pid, "VmHWM"), "count": count,
                "cpu_s_per_1000": (load.cpu_us(self.pid, False) - self.before) / 1e3 / count}


# ---- ours ----------------------------------------------------------------------------------------


class Footprint:
    def __init__(self, quick):
        self.calls = 640 if quick else 6400
        self.events = 100 if quick else 1000
        self.starts = 3 if quick else 9
        self.quiet_s, self.most_s = (3, 8) if quick else (15, 60)
        self.programs, self.work = {}, {}

    def look_idle(self, name, binary, process, port, path):
        starts = []
        for _ in range(self.starts):
            process.stop()
            starts.append(ready_ms(process, port, path))
        settle(process.pid, self.quiet_s, self.most_s)
        self.programs[name] = {
            "file_mb": stripped_mb(binary), "ready_ms": statistics.median(starts),
            "start_mb": extra.resident_mb(process.pid, "VmHWM"),
            "idle_mb": exact_mb(process.pid, "Rss"),
            "private_mb": exact_mb(process.pid, "Anonymous")}

    def worked(self, name, what, work, count, record=None):
        got = work.end(count) | {"record": record}
        of = self.programs[name]
        of["load_mb"] = max(of.get("load_mb", 0), got["load_mb"])
        self.work[f"{name}: {what}"] = got

    def call_all(self, tool, calls):
        """So many connections, each with its share."""
        def run(share):
            connection = Connection(self.server.port)
            for arguments in share:
                connection.call(tool, tool_call(tool, **arguments))
            connection.close()

        work = Work(self.server.pid)
        together(run, [calls[n::CONNECTIONS] for n in range(CONNECTIONS)])
        self.worked("todo-mcp", tool, work, len(calls), tool)

    def is_handled(self, consumer, count):
        return self.postgres.value("select count(*) from todo.inbox where consumer = "
                                   f"'{consumer}'") == str(count)

    def load_server(self):
        self.call_all("add_task", [{"title": "Write the report of the week"}] * self.calls)
        first = int(self.postgres.value("select min(id) from todo.tasks"))
        self.call_all("get_task", [{"task_id": first}] * self.calls)
        self.call_all("list_tasks", [{"limit": 20}] * self.calls)

    def load_recurring(self):
        self.postgres.query("update todo.tasks set due_date = '2030-01-31T09:00Z', "
                            "recurrence_rule = 'FREQ=DAILY' where id in (select id from todo.tasks "
                            f"order by id limit {self.events})")
        ids = [int(row[0]) for row in self.postgres.query(
            "select id from todo.tasks where recurrence_rule is not null")]
        work = Work(self.workers["todo-recurring"].pid)
        self.call_all("complete_task", [{"task_id": n} for n in ids])
        wait_for(lambda: self.is_handled(SERIES_CONSUMER, self.events), 300, "the last successor")
        self.worked("todo-recurring", "a completed task, its successor", work, self.events)

    def load_mail(self):
        works = {name: Work(self.workers[name].pid) for name in ("todo-notification", "todo-email")}
        self.postgres.query(ADD_DUE.format(count=self.events))
        wait_for(lambda: self.is_handled(MAIL_CONSUMER, self.events), 600, "the last mail")
        self.worked("todo-notification", "a due reminder", works["todo-notification"], self.events)
        self.worked("todo-email", "a mail", works["todo-email"], self.events)

    def ours(self):
        with contextlib.ExitStack() as stack:
            self.postgres = stack.enter_context(PostgresServer())
            sink = stack.enter_context(SmtpSink())
            common = {"DATABASE_URL": self.postgres.url, "LOG_LEVEL": "warn"}
            more = {"todo-notification": {"REMINDER_POLL_MS": "1000"},
                    "todo-email": {"SMTP_URL": sink.url}, "todo-recurring": {}}
            self.workers = {name: Worker(name, common | settings)
                            for name, settings in more.items()}
            subscribers = (
                f"task-recurrence={self.workers['todo-recurring'].url}/events/task-completed,"
                f"task-reminders={self.workers['todo-email'].url}/events/reminder-sent")
            self.server = Worker("todo-mcp", common | {
                "TODO_USER": "bench", "TODO_EMAIL": "bench@example.org",
                "EVENT_SUBSCRIBERS": subscribers})
            for process in (self.server, *self.workers.values()):
                stack.callback(process.close)
            self.server.start()  # it makes the schema
            for process in (self.server, *self.workers.values()):
                self.look_idle(process.name, process.binary, process, process.port, "/readyz")
            self.load_server()
            self.load_recurring()
            self.load_mail()
            for process in (*self.workers.values(), self.server):
                process.end()

    def dapr(self):
        """The sidecar, with Kafka behind it; published in bulk, as the relay does."""
        with EventRig("dapr-kafka") as rig:
            sidecar = rig.sidecars[0]
            rig.start([rig.kafka, sidecar])
            self.look_idle("daprd", part("daprd"), sidecar, sidecar.port,
                           "/v1.0/healthz/outbound")
            work = Work(sidecar.pid)
            rig.daprd_limit(self.calls * 2)
            self.worked("daprd", "an event published, 100 at a time", work, self.calls * 2)


# ---- the tables ----------------------------------------------------------------------------------


def judged(name, what, value):
    goal = GOALS.get(name, {}).get(what)
    return f"{verdict(value, AT_MOST, *goal)} ({goal[0]}, {goal[1]})" if goal else ""


def tables_of(programs, work, record):
    costs = [[name, *(number(p[key]) for key in ("file_mb", "start_mb", "idle_mb", "private_mb")),
              judged(name, "idle", p["idle_mb"]), number(p["load_mb"]),
              judged(name, "load", p["load_mb"]), number(p["ready_ms"])]
             for name, p in programs.items()]
    works = [[what, str(w["count"]), number(w["cpu_s_per_1000"]),
              number(record.get(w["record"], {}).get("all"))] for what, w in work.items()]
    return [(["program", "file, stripped, MB", "most at start, MB", "idle, MB", "of it private",
              "floor, goal", "under load, MB", "floor, goal", "start to ready, ms"], costs),
            (["program, and what it does", "times", "CPU s for 1,000", "instructions for one"],
             works)]


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--report")
    options = parser.parse_args()
    with open(RECORD, encoding="utf-8") as f:
        record = json.load(f)
    before = os.getloadavg()[0]
    footprint = Footprint(options.quick)
    footprint.ours()
    footprint.dapr()
    report = tables_of(footprint.programs, footprint.work, record)
    for table in report:
        print(tabular.plain(*table))
    if options.report:
        tabular.write(options.report, report)
    print(json.dumps({"load_before": before, "load_after": os.getloadavg()[0],
                      "programs": footprint.programs, "work": footprint.work}))


if __name__ == "__main__":
    main()
