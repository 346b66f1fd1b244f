"""The load of a campaign: agents that change tasks of their own (load.py), and many users whose
reminders and repeating tasks come all through the campaign (workers_load.py). All of them authenticate
with keys that may expire."""

import contextlib
import subprocess
import threading
import time

from load import PATIENCE_S, Load, Worker
from todo_server import wait_for
from workers_load import Caller, KeyedClient, User, WorkersLoad

# A task is made so long before its reminder comes or it is completed; one whose reminder has a time of its
# own so much earlier that no outage makes that time the past, which is refused.
LEAD_S, LEAD_AT_S = 4, PATIENCE_S + 30
EARLY_S = 20  # within which no reminder has a time of its own, since faults come already


class CountingClient(KeyedClient):
    """Counts what is refused for want of good credentials."""

    refusals = 0

    def request(self, method, params=None, headers=None):
        status, body = super().request(method, params, headers)
        if status == 401:
            type(self).refusals += 1
        return status, body


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


class CampaignLoad:
    workers_load, agent_client, agents_count = PacedLoad, Worker, 8

    def __init__(self, rig, seed, options):
        self.postgres, self.ended = rig.postgres, threading.Event()
        self.workers = self.workers_load(
            rig, seed, max(1, int(options.reminders * options.window_s)), options.window_s, LEAD_S)
        self.agent = User("agent", seed)
        self.generation = 0
        self.workers.users.append(self.agent)
        self.workers.add_users()
        self.agents = Load(rig.ports, seed, 1 << 40, clients=self.agents_count,
                           rate=options.rate, connect=self.connect, client=self.agent_client)

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
        """Of all users."""
        with contextlib.suppress(subprocess.CalledProcessError):  # the database may be away
            self.postgres.query("update todo.api_keys set expires_at = now()", subprocess.DEVNULL)

    def renew(self):
        """New keys for all; the old ones stay expired."""
        self.generation += 1
        renewed = [User(user.subject, f"{self.agents.seed}-{self.generation}")
                   for user in self.workers.users]
        for new, user in zip(renewed, self.workers.users):
            new.subject = user.subject
        wait_for(lambda: self._keep(renewed), 120, "the new keys")
        for new, user in zip(renewed, self.workers.users):
            user.key = new.key

    def _keep(self, users):
        with contextlib.suppress(subprocess.CalledProcessError):
            self.workers.add_keys(users, subprocess.DEVNULL)
            return True
        return False
