"""A task that repeats and is completed: its event goes through the broker to todo-recurring, and its one
successor shows that the event was handled once."""

import datetime
import uuid


def soon(**delta):
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**delta)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Probe:
    def __init__(self, site, word):
        self.site, self.title, self.id = site, f"{word} {uuid.uuid4().hex}", None

    def complete(self):
        with self.site.tools() as tools:
            self.id = tools.call("add_task", title=self.title, due_date=soon(days=1),
                                 recurrence_rule="daily", idempotency_key=self.title)["id"]
            tools.call("complete_task", task_id=self.id)
        return self

    def _found(self, tools):
        found = tools.call("search_tasks", query=self.title.split()[-1], limit=10)["tasks"]
        return [task for task in found if task["title"] == self.title]

    def successors(self):
        with self.site.tools() as tools:
            return [task["id"] for task in self._found(tools) if task["status"] == "pending"]

    def remove(self):
        with self.site.tools() as tools:
            for task in self._found(tools):
                tools.call("delete_task", task_id=task["id"])
