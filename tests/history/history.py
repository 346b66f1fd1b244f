"""./todo faults history: concurrent tool calls on few tasks, by several connections to several replicas
of todo-mcp, while replicas and PostgreSQL are killed and connections cut. Each call is kept with its
start, its end and its answer, and the whole is judged by checker/: it has to be linearizable for each
task. Then the same history, spoilt in ways that a fault of ours could spoil it, has to be refused."""

import argparse
import contextlib
import copy
import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from todo_server import Client, Postgres, Server, ToolError  # noqa: E402

REPLICAS, CLIENTS, SLOTS = 3, 9, 3
NOTHING_CHANGED = "nothing was changed"  # what an error says whose call had no effect
NO_ANSWER = object()


class Slot:
    """A place where tasks follow one another: when one is deleted the next is made."""

    def __init__(self, seed, number):
        self.name, self.count = f"{seed}-{number}", 0
        self.next()

    def next(self):
        self.count += 1
        self.task, self.id, self.version = f"{self.name}-{self.count}", None, 0


class History:
    """All calls, as the checker reads them. One whose error says that nothing was changed is none;
    neither is a question without an answer."""

    def __init__(self):
        self.lock, self.calls, self.left_out = threading.Lock(), [], Counter()

    def add(self, call):
        with self.lock:
            self.calls.append(call)

    def leave_out(self, why):
        with self.lock:
            self.left_out[why] += 1

    def overlapping(self):
        """Calls that began while another on their task was under way."""
        ends, count = {}, 0
        for c in sorted(self.calls, key=lambda c: c["began"]):
            count += c["began"] < ends.get(c["task"], 0)
            ends[c["task"]] = max(ends.get(c["task"], 0), c["ended"])
        return count

    def figures(self):
        tools = Counter(c["tool"] for c in self.calls)
        refused = sum(bool(c["answer"] and c["answer"]["code"]) for c in self.calls)
        return {"calls": len(self.calls), **dict(sorted(tools.items())),
                "tasks": len({c["task"] for c in self.calls}), "refused": refused,
                "overlapping": self.overlapping(),
                "without an answer": sum(c["answer"] is None for c in self.calls),
                **self.left_out}


class Agent(threading.Thread):
    def __init__(self, number, load):
        super().__init__(daemon=True)
        self.number, self.load = number, load
        self.random = random.Random(f"{load.seed}-{number}")
        self.client, self.fault, self.made = None, None, 0

    # ---- one call

    def connect(self):
        if not self.client:
            self.client = Client(self.random.choice(self.load.servers).port, timeout=15)
        return self.client

    def drop(self):
        if self.client:
            self.client.close()
        self.client = None

    def hang_up(self):
        """Closes the connection under the call, some time after it was sent."""
        connection = self.client.connection

        def cut():
            with contextlib.suppress(OSError, AttributeError):
                connection.sock.shutdown(2)
        threading.Timer(self.random.uniform(0, 0.004), cut).start()

    def ask(self, tool, arguments):
        """The answer, an error's body, or NO_ANSWER."""
        try:
            client = self.connect()
            if self.random.random() < self.load.cuts:
                self.hang_up()
            return client.call(tool, **arguments)
        except ToolError as error:
            return {"error": error.body}
        except (OSError, http.client.HTTPException, ValueError):
            self.drop()
            time.sleep(self.random.uniform(0.005, 0.05))
            return NO_ANSWER

    def call(self, slot_task, tool, name, arguments, **wanted):
        """Makes the call and keeps it. Its answer as the checker wants it, or None."""
        began = time.monotonic_ns()
        said = self.ask(name, arguments)
        call = {"client": self.number, "task": slot_task, "tool": tool, "began": began,
                "ended": time.monotonic_ns(), "answer": None, **wanted}
        if said is not NO_ANSWER and "error" not in said:
            call["answer"] = self.read(said)
        elif said is not NO_ANSWER and not self.take_error(call, said["error"]):
            return None
        if call["answer"] is None and tool == "get":
            self.load.history.leave_out("questions without an answer")
            return None
        self.load.history.add(call)
        return said if call["answer"] and not call["answer"]["code"] else call["answer"]

    def take_error(self, call, error):
        """False where the call counts for nothing."""
        code, message = error["code"], error["message"]
        if NOTHING_CHANGED in message:
            self.load.history.leave_out("calls that changed nothing")
            return False
        if code in ("not_found", "conflict"):
            version = (error.get("current") or {}).get("version", 0)
            call["answer"] = {"code": code, "version": version, "title": "", "completed": False,
                              "already": False}
        elif code != "unavailable":
            raise AssertionError(f"{call['tool']} ended with {error}")
        return True

    @staticmethod
    def read(said):
        if said.get("deleted"):
            said = {}
        return {"code": "", "version": said.get("version", 0), "title": said.get("title", ""),
                "completed": said.get("completed", False),
                "already": said.get("already_completed", False)}

    # ---- what it does

    def title(self):
        self.made += 1
        return f"{self.number}.{self.made}"

    def add(self, slot, task):
        title = self.title()
        said = self.call(task, "add", "add_task", {"title": title, "idempotency_key": task},
                         title=title)
        if not said:
            return
        with self.load.lock:
            if slot.task == task and "id" in said:
                slot.id, slot.version = said["id"], said["version"]
            elif slot.task == task:
                slot.next()  # it was made and deleted

    def change(self, slot, task, task_id, version):
        dice = self.random.random()
        title = self.title()
        if dice < 0.25:
            said = self.call(task, "get", "get_task", {"task_id": task_id})
        elif dice < 0.45:
            said = self.call(task, "update", "update_task", {"task_id": task_id, "title": title},
                             title=title)
        elif dice < 0.65:
            said = self.call(task, "update", "update_task",
                             {"task_id": task_id, "title": title, "expected_version": version},
                             title=title, expected=version)
        elif dice < 0.8:
            said = self.call(task, "complete", "complete_task", {"task_id": task_id})
        elif dice < 0.92:
            said = self.call(task, "reopen", "update_task",
                             {"task_id": task_id, "completed": False})
        elif dice < 0.96:
            return self.add(slot, task) # a repeat
        else:
            said = self.call(task, "delete", "delete_task", {"task_id": task_id})
        with self.load.lock:
            if slot.task == task and said and (said.get("deleted") or
                                               said.get("code") == "not_found"):
                slot.next()
            elif slot.task == task and said and said.get("version"):
                slot.version = max(slot.version, said["version"])

    def step(self):
        with self.load.lock:
            slot = self.random.choice(self.load.slots)
            task, task_id, version = slot.task, slot.id, slot.version
        if task_id is None:
            self.add(slot, task)
        else:
            self.change(slot, task, task_id, version)

    def run(self):
        try:
            while self.load.take():
                self.step()
        except Exception as error:  # noqa: BLE001 - the run fails with it
            self.fault = error
            self.load.ended.set()
        finally:
            self.drop()


class Load:
    def __init__(self, servers, seed, calls, cuts=0.02, rate=150):
        self.servers, self.seed, self.calls, self.cuts, self.rate = servers, seed, calls, cuts, rate
        self.lock, self.ended, self.history = threading.Lock(), threading.Event(), History()
        self.slots = [Slot(seed, n) for n in range(SLOTS)]
        self.agents = [Agent(n, self) for n in range(CLIENTS)]
        self.taken = 0

    def take(self):
        """Waits for the turn of the next call: all clients at once, since calls that do not meet
        prove little, and then a pause, so that the faults meet calls. False: no more."""
        with self.lock:
            if self.taken >= self.calls or self.ended.is_set():
                return False
            self.taken += 1
            turn = self.began + self.taken // CLIENTS * CLIENTS / self.rate
        self.ended.wait(max(0.0, turn - time.monotonic()))
        return True

    def run(self, faults):
        self.began = time.monotonic()
        for agent in self.agents:
            agent.start()
        try:
            for at, hit in faults:
                while self.taken < at and not self.ended.is_set():
                    time.sleep(0.005)
                if not self.ended.is_set():
                    hit()
            for agent in self.agents:
                agent.join()
        finally:
            self.ended.set()
        for agent in self.agents:
            agent.join()
            if agent.fault:
                raise agent.fault
        return self.history


# ---- faults


def end_backends(postgres):
    postgres.query("select pg_terminate_backend(pid) from pg_stat_activity"
                   " where application_name like 'todo-mcp%'")


def restart_server(server):
    server.kill()
    server.start()


def restart_postgres(postgres):
    postgres.kill()
    postgres.start()


def schedule(seed, calls, postgres, servers):
    """[(call, fault)]: which and when, by the seed; of each kind one at least."""
    chance = random.Random(f"{seed}-faults")
    kinds = ["server", "backends", "postgres", "server"]
    kinds += chance.choices(["server", "server", "backends", "backends", "postgres"],
                            k=max(0, calls // 400 - len(kinds)))
    chance.shuffle(kinds)
    faults, names = [], []
    for n, kind in enumerate(kinds):
        at = int(calls * (0.08 + 0.87 * (n + chance.random()) / len(kinds)))
        server = chance.choice(servers)
        hit = {"server": lambda server=server: restart_server(server),
               "backends": lambda: end_backends(postgres),
               "postgres": lambda: restart_postgres(postgres)}[kind]
        faults.append((at, hit))
        names.append(f"{at}:{kind}")
    return faults, names


# ---- the verdict


def judge(calls):
    """(0, 1 or 2 as the checker says, its words)"""
    checker = subprocess.run(["bash", os.path.join(HERE, "..", "lib", "built.sh"),
                              os.path.join(HERE, "checker")], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.strip()
    lines = "".join(json.dumps(c) + "\n" for c in calls)
    run = subprocess.run([checker], input=lines, text=True, stdout=subprocess.PIPE, check=False)
    if run.returncode > 2:
        raise RuntimeError(f"the checker failed: {run.stdout}")
    return run.returncode, run.stdout


def task_to_spoil(calls):
    """The calls on a task that all have answers, in which there is something to spoil: two changes of
    the title after one another, both seen."""
    for name in sorted({c["task"] for c in calls}):
        mine = [c for c in calls if c["task"] == name]
        updates = [c for c in mine if c["tool"] == "update" and c["answer"]
                   and not c["answer"]["code"]]
        if all(c["answer"] for c in mine) and len(updates) >= 3:
            return mine, updates
    raise AssertionError("no task had three answered updates and no unknown outcome")


def spoilt(calls):
    """(what was done, the history)"""
    mine, updates = task_to_spoil(calls)
    end = max(c["ended"] for c in mine)
    first, second = sorted(updates, key=lambda c: c["answer"]["version"])[:2]
    yield "an acknowledged update was lost", [c for c in mine if c is not first]
    stale = {"client": 0, "task": first["task"], "tool": "get", "began": end + 1, "ended": end + 2,
             "answer": first["answer"]}
    yield "a get saw a version that was over", [*mine, stale]
    twice = copy.deepcopy(mine)
    twice[mine.index(second)]["answer"]["version"] = first["answer"]["version"]
    yield "two updates made the same version", twice
    early = copy.deepcopy(mine)
    began = min(c["began"] for c in mine)
    early[mine.index(second)] |= {"began": began - 2, "ended": began - 1}
    yield "an update was answered before the task was made", early


def require(calls):
    verdict, words = judge(calls)
    if verdict:
        raise AssertionError(words)
    for what, history in spoilt(calls):
        verdict, _ = judge(history)
        if verdict != 1:
            raise AssertionError(f"this was not refused: {what}")


def campaign(seed, calls):
    """The figures; an AssertionError says what does not hold."""
    postgres = Postgres(fsync=False)
    servers = []
    try:
        # Any restart of PostgreSQL ends a server that is just starting: the others serve meanwhile.
        for _ in range(REPLICAS):
            servers.append(Server(postgres.url, {"RATE_LIMIT_PER_MINUTE": "0"}))
        faults, names = schedule(seed, calls, postgres, servers)
        history = Load(servers, seed, calls).run(faults)
        began = time.monotonic()
        require(history.calls)
        for server in servers:
            server.stop()
        return {"seed": seed, **history.figures(), "faults": " ".join(names),
                "judged in s": round(time.monotonic() - began, 1)}
    finally:
        for server in servers:
            if server.is_running():
                server.kill()
        postgres.close()


def main():
    parser = argparse.ArgumentParser(prog="./todo faults history")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--calls", type=int, default=20_000)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    try:
        figures = campaign(arguments.seed, arguments.calls)
    except AssertionError as error:
        print(error, flush=True)
        return 1
    print(", ".join(f"{k} {v}" for k, v in figures.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
