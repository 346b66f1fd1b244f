"""./todo rehearse migration: what docs/DAPR_MIGRATION_RUNBOOK.md has an operator do, under a load of tool
calls, reminders and tasks that repeat. USE_DAPR false, true; another broker and back, each with a backlog
in the old one that a consumer has not seen; USE_DAPR false again. The operators' scripts do it.

Nothing may be lost: the acknowledged changes, the rows of the outbox, what was published and what the
consumers did are the same set, each once; each reminder is one mail, each completion one successor."""

import argparse
import contextlib
import datetime
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "stack"), HERE]
import control  # noqa: E402
from load import CREATED, Load, Task, Worker  # noqa: E402
from rig import ROUTES, Rig, recorder_binary  # noqa: E402
from stack import free_port  # noqa: E402
from todo_server import wait_for  # noqa: E402
from verdict import Verdict  # noqa: E402

SCRIPTS = os.path.join(HERE, "..", "..", "k8s", "scripts")
REMINDED, RECORDER = "reminder.sent", "recorder"
SWAP_LIMIT_S, ROLLBACK_LIMIT_S = 300, 1800
DEFAULT_REMINDER_S, REMIND_IN_S, DAY_S = 3600, 3, 86400
# Titles of tasks that are not the load's: of the swap script, and successors.
STRANGERS = ("swap-", "repeat ")
# The tasks that repeat and were completed; their successors have an occurrence.
FIRST = "t.title like 'repeat %' and t.completed and t.occurrence is null"


def later(seconds):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds")


class Client(Worker):
    """One change in ten is a task whose reminder comes soon, or one that repeats and is completed."""

    def add_due(self, word, seconds, **arguments):
        self.made += 1
        name = f"{self.number}-{self.made}"
        task = Task(self.until_answered("add_task", title=f"{word} {name}", due_date=later(seconds),
                                        idempotency_key=f"{self.load.seed}-{name}", **arguments))
        self.note(task, CREATED)
        return task

    def step(self):
        dice = self.random.random()
        if dice < 0.05:
            self.note(self.add_due("remind", DEFAULT_REMINDER_S + REMIND_IN_S), REMINDED)
        elif dice < 0.1:
            self.complete(self.add_due("repeat", DAY_S, recurrence_rule="daily"))
        else:
            super().step()


class MigrationVerdict(Verdict):
    def _is_settled(self):
        wanted = Counter(kind for _, kind, _ in self.load.changes())
        row = self.rig.postgres.query(
            "select (select count(*) from todo.outbox where data->>'event_type' = 'reminder.sent'),"
            " (select count(*) from todo.tasks where occurrence = 2 and title like 'repeat %')")[0]
        return (int(row[0]) >= wanted[REMINDED] and int(row[1]) >= self._repeating()
                and len(self.rig.mails()) >= wanted[REMINDED] and super()._is_settled())

    def _repeating(self):
        return int(self.rig.postgres.value(
            f"select count(*) from todo.tasks t where {FIRST}"))

    def _check_changes(self, outbox):
        """The load's own, and of the others nothing but what is known."""
        expected = self.load.changes()
        known = {key for key, _, _ in expected}
        super()._check_changes([row for row in outbox if row[1] in known])
        others = {row[0] for row in self.rig.postgres.query(
            "select key from todo.outbox where data->>'event_type' = 'task.created' and ("
            + " or ".join(f"data->>'title' like '{word}%'" for word in STRANGERS) + ")")}
        strange = {row[1] for row in outbox} - known - others
        if strange:
            self.faults.append(f"events of tasks that nobody made: {sorted(strange)[:5]}")
        self._check_mails(outbox)
        self._check_successors()

    def _check_mails(self, outbox):
        wanted = Counter(row[0] for row in outbox if row[3] == REMINDED)
        got = Counter(self.rig.mails())
        if wanted != got:
            self.faults.append(f"reminders without their mail: {list(wanted - got)[:5]}; mails "
                               f"beyond one for each: {list(got - wanted)[:5]}")
        self.figures["mails"] = sum(got.values())

    def _check_successors(self):
        numbers = self.rig.postgres.query(
            "select count(n.id) from todo.tasks t left join todo.tasks n on n.series_id = t.id"
            f" where {FIRST} group by t.id")
        wrong = [n for n, in numbers if n != "1"]
        if wrong:
            self.faults.append(f"{len(wrong)} completed tasks have not one successor: {wrong[:5]}")
        if not numbers:
            self.faults.append("no task that repeats was completed, so this shows little")
        self.figures["successors"] = len(numbers)


class MigrationRig:
    """A ./todo stack of our own, with our programs, two todo-mcp among them, and the recorder."""

    deliveries, recorded_topics = Rig.deliveries, tuple(ROUTES)
    outbox, inbox = Rig.outbox, Rig.inbox

    def __init__(self):
        self.state = tempfile.TemporaryDirectory(prefix="todo-migration-")
        os.environ["XDG_STATE_HOME"] = self.state.name
        self.record_file = os.path.join(self.state.name, "recorded.jsonl")
        apps = {**control.APPS, RECORDER: (recorder_binary(), free_port(), free_port())}
        with control.opened() as stack:
            stack = control.Stack(stack.home, apps=apps)
            stack.settings = {"RATE_LIMIT_PER_MINUTE": "0", "TODO_EMAIL": "you@todo.example",
                              "RECORDER_LOG": self.record_file}
            stack.replicas = {**dict.fromkeys(apps, 1), "backend": 2}
            stack.uses_dapr = False
            stack.save()

    def script(self, name, *words):
        done = subprocess.run([os.path.join(SCRIPTS, name), "--local", "--json", *words],
                              check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            raise AssertionError(f"{name} {' '.join(words)}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    @contextlib.contextmanager
    def timed(self, what, limit_s):
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        print(f"{what:52} {seconds:6.1f} s of {limit_s}", flush=True)
        if seconds > limit_s:
            raise AssertionError(f"{what} took {seconds:.1f} s")

    def start(self):
        self.script("setup-dapr")
        with control.opened() as stack:
            self.postgres, self.smtp = stack.postgres, stack.smtp
            self.ports = [program.port for program, _ in stack.programs("backend").values()]
        return self

    def mails(self):
        """The ids of the events that they tell of."""
        return [mail.message["Message-ID"].strip("<>").split("@")[0] for mail in self.smtp.mails()]

    @contextlib.contextmanager
    def recorder_away(self, seconds):
        """What is published meanwhile waits in the broker; its ids are given."""
        with control.opened() as stack:
            control.stop_all(stack.programs(RECORDER)[RECORDER])
            stack.save()
        time.sleep(seconds)
        yield self.published() - self.recorded()
        with control.opened() as stack:
            stack.up()

    def published(self):
        return {row[0] for row in self.postgres.query(
            "select id from todo.outbox where published_at is not null")}

    def recorded(self):
        return {row[0] for row in self.postgres.query("select event_id from recorder.recorded")}

    def swap(self, broker, pause_s):
        """The time until all that the old broker held has been handled by way of the new one."""
        with contextlib.ExitStack() as away:
            backlog = away.enter_context(self.recorder_away(pause_s))
            if not backlog:
                raise AssertionError("the old broker has no backlog, so this shows nothing")
            with self.timed(f"swap to {broker}, {len(backlog)} events in the old one",
                            SWAP_LIMIT_S):
                self.script("test-infrastructure-swap", "--to", broker)
                away.close()
                wait_for(lambda: backlog <= self.recorded(), SWAP_LIMIT_S, "the backlog")

    def stop(self):
        """The programs end well, all of them."""
        with control.opened() as stack:
            control.stop_all(part for pair in stack.programs().values() for part in pair)
            for name, (program, _) in stack.programs().items():
                text = program.log_tail(1 << 30)
                for word in ("Sanitizer", "runtime error"):
                    if word in text:
                        raise AssertionError(f"{name}: {text[text.index(word):][:4000]}")

    def logs(self):
        with control.opened() as stack:
            return "\n".join(f"==> {name}\n{part.log_tail(1500)}"
                             for name, part in stack.parts.items())

    def close(self):
        with control.opened() as stack:
            stack.down()
            stack.clear()
        self.state.cleanup()


def migrate(rig, pause_s):
    rig.script("validate-dapr-deployment", "--only",
               "control-plane,secrets,components,resiliency,programs")
    time.sleep(pause_s)
    with rig.timed("USE_DAPR false to true", ROLLBACK_LIMIT_S):
        rig.script("setup-dapr", "--enable")
    rig.script("validate-dapr-deployment")
    for broker in ("redis", "kafka"):
        time.sleep(pause_s)
        rig.swap(broker, pause_s)
        rig.script("validate-dapr-deployment")
    time.sleep(pause_s)
    with rig.timed("rollback: USE_DAPR true to false", ROLLBACK_LIMIT_S):
        rig.script("setup-dapr", "--disable")
    time.sleep(pause_s)


def rehearse(rig, options):
    rig.start()
    load = Load(rig.ports, options.seed, calls=1 << 40, rate=options.rate, client=Client).start()
    try:
        migrate(rig, options.pause)
        if not load.is_running():
            load.join()
    finally:
        load.end()
        load.join()
    verdict = MigrationVerdict(rig, load)
    with rig.timed("all handled, after the last call", SWAP_LIMIT_S):
        verdict.wait_until_settled()
    rig.stop()
    verdict.check().require()
    return verdict.figures


def main():
    parser = argparse.ArgumentParser(prog="./todo rehearse migration", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--rate", type=int, default=200, help="calls a second")
    parser.add_argument("--pause", type=float, default=8, help="seconds between two steps")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    rig = MigrationRig()
    try:
        figures = rehearse(rig, options)
        print("nothing lost: " + ", ".join(f"{k} {v}" for k, v in figures.items()), flush=True)
        return 0
    except Exception as error:
        print(f"{rig.logs()}\n{error!r}\n{error}", flush=True)
        return 1
    finally:
        rig.close()


if __name__ == "__main__":
    sys.exit(main())
