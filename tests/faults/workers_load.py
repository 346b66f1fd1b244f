"""The tasks of a campaign of the workers: many users' tasks whose reminders come within a window,
and tasks that repeat and are completed in it. A seed gives the plan; the times count from its
start."""

import datetime
import hashlib
import random
import threading
import time

import load
from todo_server import Client

DEFAULT_S = 3600  # the default reminder is so long before the due date
DAY_S = 86400
RULES = ("FREQ=DAILY", "FREQ=WEEKLY;INTERVAL=2", "FREQ=MONTHLY", "FREQ=DAILY;INTERVAL=3;COUNT=9",
         "weekly", "FREQ=YEARLY")


def rfc3339(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Reminded:
    """A task whose reminder comes `offset_s` into the window, in one of three ways."""

    def __init__(self, number, chance, users, window_s):
        self.title = f"remind {number}"
        self.user = chance.randrange(users)
        self.way = chance.choice(("default", "default", "at", "before"))
        self.offset_s = round(chance.uniform(0, window_s), 3)
        self.before_min = chance.randrange(90, 600)  # so the default one would come much later
        self.id = None
        self.at = self.known_at = None  # when it is due, and when all of it was acknowledged


class Repeating:
    """A task that is completed `offset_s` into the window."""

    def __init__(self, number, chance, users, window_s):
        self.title = f"repeat {number}"
        self.user = chance.randrange(users)
        self.rule = chance.choice(RULES)
        self.offset_s = chance.uniform(0, window_s)
        self.id = None


class User:
    way = "key"

    def __init__(self, number, seed):
        self.subject, self.email = f"user-{number}", f"user-{number}@example.org"
        digits = hashlib.sha256(f"{seed}-{number}".encode()).hexdigest()[:43]
        self.key = f"todo_{digits}"  # "todo_" and 43 digits of base64url

    def refused(self, key, challenge):
        """401 with this challenge for this key."""


class KeyedClient(Client):
    """The user may change from one call to the next."""

    user = None

    def request(self, method, params=None, headers=None):
        return super().request(method, params,
                               {"Authorization": f"Bearer {self.user.key}", **(headers or {})})


class Caller(load.Worker):
    """One client that works for some of the users."""

    def __init__(self, load_, number, clients):
        super().__init__(load_, number)
        self.reminded = [t for t in load_.reminded if t.user % clients == number]
        self.repeating = sorted((t for t in load_.repeating if t.user % clients == number),
                                key=lambda t: t.offset_s)
        self.user = None

    def connect(self, port):
        return KeyedClient(port, timeout=15)

    def client(self, port):
        if port not in self.clients:
            self.clients[port] = self.connect(port)
        self.clients[port].user = self.user
        return self.clients[port]

    def call(self, task, tool, **arguments):
        self.user = self.load.users[task.user]
        return self.until_answered(tool, **arguments)

    def add_repeating(self, task):
        due = self.load.start_at + DAY_S + task.offset_s
        task.id = self.call(task, "add_task", title=task.title, due_date=rfc3339(due),
                            recurrence_rule=task.rule, timezone="Europe/Berlin",
                            idempotency_key=task.title)["id"]

    def complete(self, task):
        self.call(task, "complete_task", task_id=task.id)

    def add_reminded(self, task):
        task.at = self.load.start_at + task.offset_s
        due = {"default": task.at + DEFAULT_S, "before": task.at + 60 * task.before_min,
               "at": task.at + DAY_S}[task.way]
        reminder = {"at": {"remind_at": rfc3339(task.at)},
                    "before": {"remind_before_minutes": task.before_min}}.get(task.way)
        task.id = self.call(task, "add_task", title=task.title, due_date=rfc3339(due),
                            idempotency_key=task.title)["id"]
        if reminder:
            self.call(task, "set_reminder", task_id=task.id, **reminder)
        task.known_at = time.time()

    def work(self):
        for task in self.repeating:
            self.add_repeating(task)
        for task in sorted(self.reminded, key=lambda t: t.offset_s):
            self.add_reminded(task)
        for task in self.repeating:
            self.load.ended.wait(max(0.0, self.load.start_at + task.offset_s - time.time()))
            if self.load.ended.is_set():
                return
            self.complete(task)


class WorkersLoad:
    """`tasks` reminders and a tenth as many completions within `window_s` seconds, which begin
    `lead_s` after `start`: by then all tasks should be there."""

    caller = Caller

    def __init__(self, rig, seed, tasks, window_s, lead_s, users=50, clients=8):
        chance = random.Random(f"{seed}-plan")
        self.ports, self.seed = rig.ports, seed
        self.window_s, self.lead_s, self.start_at = window_s, lead_s, None
        self.users = [User(n, seed) for n in range(users)]
        self.reminded = [Reminded(n, chance, users, window_s) for n in range(tasks)]
        self.repeating = [Repeating(n, chance, users, window_s)
                          for n in range(max(1, tasks // 10))]
        self.ended = threading.Event()
        self.postgres = rig.postgres
        self.clients = [self.caller(self, n, clients) for n in range(clients)]

    def add_users(self):
        """Keys and addresses have no tool; the operator gives them."""
        names = ", ".join(f"('{u.subject}', '{u.email}', 'Europe/Berlin')" for u in self.users)
        self.postgres.query(f"insert into todo.users (subject, email, timezone) values {names}")
        self.add_keys(self.users)

    def add_keys(self, users, errors=None):
        keys = ", ".join(f"('{u.subject}', '{u.key}')" for u in users)
        self.postgres.query(
            "insert into todo.api_keys (user_id, name, scopes, key_hash) select u.id, 'campaign',"
            " '{tasks:read,tasks:write}', sha256(k.key::bytea)"
            f" from (values {keys}) k (subject, key) join todo.users u using (subject)", errors)

    def start(self):
        self.start_at = time.time() + self.lead_s
        for client in self.clients:
            client.start()
        return self

    def join(self):
        for client in self.clients:
            client.join()
        for client in self.clients:
            if client.fault:
                raise client.fault

    def stop(self):
        self.ended.set()

    def late(self):
        """The tasks that were not there when their reminder was due."""
        return [task for task in self.reminded if task.known_at > task.at]

    def by_id(self):
        return {task.id: task for task in self.reminded}

    def repeats(self):
        return sum(client.repeats for client in self.clients)
