"""The load of a soak: a campaign's, but each agent keeps few tasks, and a reminded task goes when its mail
has long come, so that the tables stay as large as they are. Each call is timed."""

import itertools
import time

from campaign_load import CampaignLoad, PacedCaller, PacedLoad
from load import Worker

KEPT_TASKS = 50  # of each agent
MAILED_S = 60  # after its reminder a task is no longer needed


class TimedWorker(Worker):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.times = []  # (when it was answered, seconds that it took)

    def ask(self, tool, arguments, port):
        began = time.monotonic()
        answer = super().ask(tool, arguments, port)
        ended = time.monotonic()
        self.times.append((ended, ended - began))
        return answer

    def step(self):
        if len(self.tasks) > KEPT_TASKS:
            return self.delete(self.tasks[0])
        return super().step()


class TidyCaller(PacedCaller):
    def agenda(self):
        end_s = self.load.window_s - MAILED_S
        return super().agenda() + [(task.offset_s + MAILED_S, self.remove, task)
                                   for task in self.reminded if task.offset_s < end_s]

    def remove(self, task):
        self.call(task, "delete_task", settle=lambda code: {} if code == "not_found" else None,
                  task_id=task.id)


class TidyLoad(PacedLoad):
    caller = TidyCaller


class SoakLoad(CampaignLoad):
    workers_load, agent_client, agents_count = TidyLoad, TimedWorker, 16

    def since(self, moment):
        """Seconds of each call that was answered since then."""
        for worker in self.agents.workers:
            newest_first = (worker.times[n] for n in range(len(worker.times) - 1, -1, -1))
            for _, seconds in itertools.takewhile(lambda entry: entry[0] > moment, newest_first):
                yield seconds

    def times(self):
        """Of all calls of the agents: (when, seconds)."""
        return [entry for worker in self.agents.workers for entry in list(worker.times)]
