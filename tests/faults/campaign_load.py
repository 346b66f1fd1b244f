"""The load of a campaign: agents that change tasks of their own (load.py), and many users whose
reminders and repeating tasks come all through the campaign (workers_load.py). Half of them authenticate
with API keys, half with access tokens where the rig has an issuer; both may expire."""

import contextlib
import subprocess
import threading
import time
from collections import Counter

from load import PATIENCE_S, Load, Worker
from todo_server import wait_for
from workers_load import Caller, KeyedClient, User, WorkersLoad

# A task is made so long before its reminder comes or it is completed; one whose reminder has a time of its
# own so much earlier that no outage makes that time the past, which is refused.
LEAD_S, LEAD_AT_S = 4, PATIENCE_S + 30
EARLY_S = 20  # within which no reminder has a time of its own, since faults come already


class Tokens:
    """Those of the issuer. While `is_closed` nobody gets a new one."""

    def __init__(self, issuer):
        self.issuer, self.is_closed = issuer, False

    def new(self, subject):
        """None where there is none to be had."""
        with contextlib.suppress(OSError):
            return None if self.is_closed else self.issuer.token(subject)
        return None


class TokenUser(User):
    """Gets a new token when half of the old one's life is over, or when that was refused. Without a new
    one it goes on with the old one."""

    way = "token"

    def __init__(self, number, seed, tokens):
        self.tokens, self.lock = tokens, threading.Lock()
        self.token, self.due = "none", 0.0
        super().__init__(number, seed)

    @property
    def key(self):
        with self.lock:
            if time.monotonic() >= self.due and (token := self.tokens.new(self.subject)):
                self.token, self.due = token, time.monotonic() + self.tokens.issuer.life_s / 2
            return self.token

    @key.setter
    def key(self, _):
        """The key that all users have is not used."""

    def refused(self, key, challenge):
        if "resource_metadata=" not in (challenge or ""):
            raise AssertionError(f"401 with the challenge {challenge!r}")
        with self.lock:
            if key == self.token:
                self.due = 0.0


class CountingClient(KeyedClient):
    """Counts by the ways of authentication what is answered, and what is refused for want of good
    credentials."""

    answers, refusals = Counter(), Counter()

    def request(self, method, params=None, headers=None):
        key = self.user.key
        status, body = super().request(method, params, {"Authorization": f"Bearer {key}",
                                                        **(headers or {})})
        if status == 401:
            self.refusals[self.user.way] += 1
            self.user.refused(key, self.response.headers["WWW-Authenticate"])
        elif status == 200:
            self.answers[self.user.way] += 1
        return status, body


class Agent(Worker):
    """Every second one has tokens."""

    def client(self, port):
        client = super().client(port)
        client.user = self.load.users[self.number % 2]
        return client


class PacedCaller(Caller):
    def connect(self, port):
        return CountingClient(port, timeout=15)

    def agenda(self):
        """(seconds from the start, what to do, with which task)"""
        agenda = [(task.offset_s - (LEAD_AT_S if task.way == "at" else LEAD_S),
                   self.add_reminded, task) for task in self.reminded]
        for task in self.repeating:
            agenda.append((task.offset_s - LEAD_S, self.add_repeating, task))
            agenda.append((task.offset_s, self.complete, task))
        return agenda

    def work(self):
        for offset_s, step, task in sorted(self.agenda(), key=lambda entry: entry[0]):
            if self.load.ended.wait(max(0.0, self.load.start_at + offset_s - time.time())):
                return
            step(task)


class PacedLoad(WorkersLoad):
    caller = PacedCaller

    def __init__(self, *arguments):
        super().__init__(*arguments)
        for task in self.reminded:
            if task.way == "at" and task.offset_s < EARLY_S:
                task.way = "default"

    def add_keys(self, users, errors=None):
        super().add_keys([user for user in users if not isinstance(user, TokenUser)], errors)


class CampaignLoad:
    workers_load, agent_client, agents_count = PacedLoad, Agent, 8

    def __init__(self, rig, seed, options):
        self.postgres, self.ended = rig.postgres, threading.Event()
        self.workers = self.workers_load(
            rig, seed, max(1, int(options.reminders * options.window_s)), options.window_s, LEAD_S)
        self.agent, self.generation = User("agent", seed), 0
        users = (self.agent, self.agent)
        if rig.issuer:
            self.tokens = Tokens(rig.issuer)
            self.workers.users[::2] = [TokenUser(n, seed, self.tokens)
                                       for n in range(0, len(self.workers.users), 2)]
            users = (self.agent, TokenUser("agent", seed, self.tokens))
        self.workers.users.append(self.agent)
        self.keyed = [u for u in self.workers.users if not isinstance(u, TokenUser)]
        self.workers.add_users()
        self.agents = Load(rig.ports, seed, 1 << 40, clients=self.agents_count,
                           rate=options.rate, connect=self.connect, client=self.agent_client)
        self.agents.users = users

    def connect(self, port):
        client = CountingClient(port, timeout=15)
        client.user = self.agent
        return client

    def start(self):
        self.workers.start()
        self.agents.start()

    def fault(self):
        """What a client could not make sense of, or None."""
        return next((c.fault for c in (*self.agents.workers, *self.workers.clients) if c.fault),
                    None)

    def answered(self):
        return self.agents.answered()

    def unanswered(self, before):
        """The ways of authentication with which no call was answered since there were `before`."""
        return [way for way in ("key", "token") if CountingClient.answers[way] <= before[way]]

    def end(self):
        """Waits for the end of all that was begun."""
        self.agents.end()
        self.agents.join()
        self.workers.join()

    def stop(self):
        self.agents.ended.set()
        self.workers.stop()

    # ---- credentials

    def expire(self):
        """All keys."""
        with contextlib.suppress(subprocess.CalledProcessError):  # the database may be away
            self.postgres.query("update todo.api_keys set expires_at = now()", subprocess.DEVNULL)

    def renew(self):
        """New keys; the old ones stay expired."""
        self.generation += 1
        renewed = [User(user.subject, f"{self.agents.seed}-{self.generation}")
                   for user in self.keyed]
        for new, user in zip(renewed, self.keyed):
            new.subject = user.subject
        wait_for(lambda: self._keep(renewed), 120, "the new keys")
        for new, user in zip(renewed, self.keyed):
            user.key = new.key

    def _keep(self, users):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.workers.add_keys(users, subprocess.DEVNULL)
            return True
        return False
