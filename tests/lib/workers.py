"""What tests of workers share: a running worker, and events to deliver to it."""

import http.client
import json
import os
import uuid

from todo_server import Server

CLOUDEVENT = "application/cloudevents+json"
TIME = "2026-01-02T03:04:05Z"

# What `data` has beyond the members that all events have.
TYPES = {
    "TaskCreatedEvent": ("task.created", {
        "title": "t", "description": None, "priority": "low", "due_date": None,
        "recurrence_rule": None, "category_id": None, "tag_ids": []}),
    "TaskUpdatedEvent": ("task.updated", {"updated_fields": {"title": "u"}, "version": 2}),
    "TaskDeletedEvent": ("task.deleted", {}),
    "TaskCompletedEvent": ("task.completed", {
        "completed_at": TIME, "recurrence_rule": None, "due_date": None, "timezone": "UTC"}),
    "ReminderSentEvent": ("reminder.sent", {
        "reminder_time": TIME, "title": "t", "due_date": None, "priority": "low"}),
}
PATHS = {"task-events": "/events/task-events", "task-recurrence": "/events/task-completed",
         "task-reminders": "/events/reminder-sent"}


def event(kind="TaskDeletedEvent", task_id=7, user_id=1, **data):
    """A CloudEvent as the relay writes it."""
    name, members = TYPES[kind]
    event_id = str(uuid.uuid4())
    return {"specversion": "1.0", "id": event_id, "source": "/todo/mcp-server", "type": kind,
            "subject": f"task/{task_id}", "time": TIME, "datacontenttype": "application/json",
            "dataschema": f"urn:todo:event:{name}:1.0", "partitionkey": str(task_id),
            "data": {"event_id": event_id, "event_type": name, "timestamp": TIME,
                     "user_id": user_id, "schema_version": "1.0", "task_id": task_id,
                     **members, **data}}


def bulk(entries, ids=None):
    """daprd's envelope of several events."""
    ids = ids or [str(n) for n in range(len(entries))]
    return {"id": str(uuid.uuid4()), "pubsubname": "pubsub-kafka", "topic": "task-events",
            "type": "com.dapr.event.sent.bulk", "metadata": {},
            "entries": [{"entryId": i, "event": e, "contentType": CLOUDEVENT, "metadata": {}}
                        for i, e in zip(ids, entries)]}


class Worker(Server):
    """A worker's program on a free port. `stop` checks the exit code and the sanitizers."""

    def __init__(self, url, env=None, binary=None):
        super().__init__(url, env, binary or os.environ["TODO_RECORDER"])

    def exchange(self, method, path, body=None, headers=None, timeout=30):
        """(status, headers, body) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()
        finally:
            connection.close()

    def get(self, path):
        status, _, body = self.exchange("GET", path)
        return status, body

    def post(self, message, path="/events/task-events", content_type=CLOUDEVENT, headers=None):
        """The status of a delivery; `message` is JSON or bytes."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return self.exchange("POST", path, body, {"Content-Type": content_type,
                                                  **(headers or {})})[0]

    def is_ready(self):
        return self.get("/readyz")[0] == 200

    def metric(self, line):
        """The value of the sample that begins with `line`; 0 where there is none."""
        for text in self.get("/metrics")[1].splitlines():
            if text.startswith(line + " "):
                return float(text.rsplit(" ", 1)[1])
        return 0
