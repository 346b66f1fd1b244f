"""A load of mixed tool calls whose every change is known afterwards, whatever is killed meanwhile. A
call whose answer did not come is made again in a way that can't do it twice (an idempotency key, an
expected version, or because it can happen once only), until what became of it is certain."""

import http.client
import random
import threading
import time
from collections import Counter

from todo_server import Client, ToolError

CREATED, UPDATED, COMPLETED, DELETED = (f"task.{x}" for x in
                                        ("created", "updated", "completed", "deleted"))
PATIENCE_S = 120  # how long one call may take, outages and all


def connect(port):
    return Client(port, timeout=15)


class Task:
    def __init__(self, answer):
        self.id, self.version, self.title = answer["id"], answer["version"], answer["title"]
        self.tag_ids = set()
        self.is_completed = False


class Worker(threading.Thread):
    """One client: it owns its tasks, so that it alone knows what they have been through."""

    def __init__(self, load, number):
        super().__init__(daemon=True, name=f"client-{number}")
        self.load, self.number = load, number
        self.random = random.Random(f"{load.seed}-{number}")
        self.tasks, self.clients = [], {}
        self.made = 0
        self.changes = Counter()  # (task id, event type, version where the event has it)
        self.repeats = self.answered = 0
        self.fault = None

    # ---- one call, until its outcome is certain

    def client(self, port):
        if port not in self.clients:
            self.clients[port] = self.load.connect(port)
        return self.clients[port]

    def ask(self, tool, arguments, port):
        client = self.client(port)
        try:
            answer = client.call(tool, **arguments)
            self.answered += 1
            return answer
        except (OSError, http.client.HTTPException, RuntimeError, ValueError):
            client.close()
            del self.clients[port]
            raise

    def until_answered(self, tool, settle=None, **arguments):
        """The answer. `settle(code)` looks at the refusal of a repeated call and may return an
        answer in its place, since the first one may have been carried out."""
        end = time.monotonic() + PATIENCE_S
        is_repeat = False
        while True:
            try:
                return self.ask(tool, arguments, self.random.choice(self.load.ports))
            except ToolError as error:
                code = error.body.get("code")
                answer = settle(code) if is_repeat and settle else None
                if answer is not None:
                    return answer
                if code not in ("unavailable", "rate_limited"):
                    raise
                last = error
            except (OSError, http.client.HTTPException, RuntimeError, ValueError) as error:
                last = error
            is_repeat = True
            self.repeats += 1
            if time.monotonic() > end:
                raise TimeoutError(f"{tool} had no answer in {PATIENCE_S} s; the last: {last!r}")
            self.load.ended.wait(self.random.uniform(0.02, 0.2))

    # ---- the changes

    def note(self, task, kind, version=None):
        self.changes[(str(task.id), kind, version)] += 1

    def add(self):
        self.made += 1
        name = f"{self.number}-{self.made}"
        task = Task(self.until_answered(
            "add_task", title=f"task {name}", idempotency_key=f"{self.load.seed}-{name}",
            priority=self.random.choice(["low", "medium", "high", "urgent"])))
        self.tasks.append(task)
        self.note(task, CREATED)

    def update(self, task):
        self.made += 1
        title = f"{task.title.split('.')[0]}.{self.made}"
        expected = task.version

        def settle(code):
            if code != "conflict":
                return None
            now = self.until_answered("get_task", task_id=task.id)
            if now["title"] != title or now["version"] != expected + 1:
                raise AssertionError(f"task {task.id} was changed by nobody: {now}")
            return now

        answer = self.until_answered("update_task", settle, task_id=task.id, title=title,
                                     expected_version=expected)
        task.version, task.title = answer["version"], title
        self.note(task, UPDATED, task.version)

    def complete(self, task):
        answer = self.until_answered("complete_task", task_id=task.id)
        task.version, task.is_completed = answer["version"], True
        self.note(task, COMPLETED)

    def tag(self, task):
        tag_id = self.random.choice(self.load.tag_ids)
        tool = "remove_tag_from_task" if tag_id in task.tag_ids else "add_tag_to_task"
        answer = self.until_answered(tool, task_id=task.id, tag_id=tag_id)
        task.tag_ids ^= {tag_id}
        task.version = answer["version"]
        self.note(task, UPDATED, task.version)

    def delete(self, task):
        self.until_answered("delete_task", lambda code: {} if code == "not_found" else None,
                            task_id=task.id)
        self.tasks.remove(task)
        self.note(task, DELETED)

    def read(self):
        tool, arguments = self.random.choice([
            ("list_tasks", {"limit": 10}), ("search_tasks", {"query": "task", "limit": 10})])
        self.until_answered(tool, **arguments)

    def step(self):
        dice = self.random.random()
        if dice < 0.3 or not self.tasks:
            return self.add()
        task = self.random.choice(self.tasks[-20:])
        if dice < 0.6:
            return self.update(task)
        if dice < 0.72:
            return self.tag(task)
        if dice < 0.82 and not task.is_completed:
            return self.complete(task)
        if dice < 0.9:
            return self.delete(task)
        return self.read()

    def work(self):
        while self.load.take():
            self.step()

    def run(self):
        try:
            self.work()
        except Exception as error:  # noqa: BLE001 - the campaign fails with it
            self.fault = error
            self.load.ended.set()
        finally:
            for client in self.clients.values():
                client.close()


class Load:
    """`calls` tool calls by `clients` at `rate` a second over the replicas at `ports`; `connect(port)`
    makes a connection to one. `client`: the class of a client."""

    def __init__(self, ports, seed, calls, clients=16, rate=200, connect=connect, client=Worker):
        self.connect, self.ports, self.seed = connect, list(ports), seed
        self.calls, self.rate = calls, rate
        self.ended = threading.Event()
        self.lock = threading.Lock()
        self.taken = 0
        self.begun = time.monotonic()
        first = connect(self.ports[0])
        self.tag_ids = [first.call("create_tag", name=f"tag {n}")["id"] for n in range(4)]
        first.close()
        self.workers = [client(self, n) for n in range(clients)]

    def take(self):
        """Waits for the turn of the next call; False when there is none."""
        with self.lock:
            if self.taken >= self.calls or self.ended.is_set():
                return False
            self.taken += 1
            turn = self.begun + self.taken / self.rate
        self.ended.wait(max(0.0, turn - time.monotonic()))
        return not self.ended.is_set()

    def pace(self, rate):
        """Another one from the next call on."""
        with self.lock:
            self.rate, self.begun = rate, time.monotonic() - self.taken / rate

    def start(self):
        self.begun = time.monotonic()
        for worker in self.workers:
            worker.start()
        return self

    def is_running(self):
        return any(worker.is_alive() for worker in self.workers)

    def end(self):
        """No more calls than those under way."""
        with self.lock:
            self.calls = self.taken

    def join(self):
        """Waits for the end; what went wrong in a client is raised."""
        for worker in self.workers:
            worker.join()
        self.seconds = time.monotonic() - self.begun
        for worker in self.workers:
            if worker.fault:
                raise worker.fault

    def changes(self):
        """Each event that the acknowledged changes must have."""
        return sum((worker.changes for worker in self.workers), Counter())

    def answered(self):
        return sum(worker.answered for worker in self.workers)

    def repeats(self):
        return sum(worker.repeats for worker in self.workers)
