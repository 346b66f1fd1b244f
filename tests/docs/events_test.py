"""docs/asyncapi.json and docs/schemas/ are what the table of events says, are valid by AsyncAPI's own
schema, and describe what really goes over the wire. `--write` brings them up to date (then nothing
that is pinned is needed)."""

import glob
import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from todo_server import Client, Postgres, Server, wait_for  # noqa: E402

DOCS = pathlib.Path(__file__).parents[2] / "docs"
DUE = "2030-01-31T09:00:00+01:00"


def documents():
    """{path below docs/: text}, as the program says."""
    said = json.loads(subprocess.run([os.environ["TODO_EVENT_DOCS"]], check=True, text=True,
                                     stdout=subprocess.PIPE).stdout)
    made = {"asyncapi.json": said["asyncapi"],
            **{f"schemas/{name}.json": schema for name, schema in said["schemas"].items()}}
    return {path: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            for path, document in made.items()}


def write():
    (DOCS / "schemas").mkdir(exist_ok=True)
    for old in (DOCS / "schemas").glob("*.json"):
        old.unlink()
    for path, text in documents().items():
        (DOCS / path).write_text(text, encoding="utf-8")


class Subscriber(http.server.BaseHTTPRequestHandler):
    """Takes each event that the relay posts."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path[1:], self.headers["Content-Type"], json.loads(body)))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class DocumentTest(unittest.TestCase):
    def test_the_documents_are_fresh(self):
        there = {str(pathlib.Path(path).relative_to(DOCS)): pathlib.Path(path).read_text("utf-8")
                 for path in [DOCS / "asyncapi.json", *glob.glob(f"{DOCS}/schemas/*.json")]}
        self.assertEqual(there, documents(), "docs/ is stale: ./todo docs")

    def test_the_document_is_valid_by_asyncapis_own_schema(self):
        import jsonschema
        path = (f"{os.environ['TODO_PINNED']}/node_modules/@asyncapi/specs/schemas/"
                "3.0.0-without-$id.json")
        with open(path, encoding="utf-8") as file:
            validator = jsonschema.Draft7Validator(json.load(file))
        document = json.loads((DOCS / "asyncapi.json").read_text("utf-8"))
        self.assertEqual([str(e)[:500] for e in validator.iter_errors(document)], [])
        document["channels"]["task-events"]["adress"] = "x"
        self.assertFalse(validator.is_valid(document), "the schema refuses nothing")

    def test_each_reference_leads_somewhere(self):
        document = json.loads((DOCS / "asyncapi.json").read_text("utf-8"))
        references = []

        def walk(value):
            if isinstance(value, dict):
                references.extend([value["$ref"]] if "$ref" in value else [])
                value = value.values()
            for item in value if not isinstance(value, (str, int, type(None))) else ():
                walk(item)

        walk(document)
        self.assertGreater(len(references), 10)
        for reference in references:
            at = document
            for name in reference.removeprefix("#/").split("/"):
                at = at[name]


class WireTest(unittest.TestCase):
    """What todo-mcp posts to a subscriber, type by type."""

    @classmethod
    def setUpClass(cls):
        cls.subscriber = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Subscriber)
        cls.subscriber.taken = []
        cls.addClassCleanup(cls.subscriber.server_close)
        threading.Thread(target=cls.subscriber.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.subscriber.shutdown)
        url = f"http://127.0.0.1:{cls.subscriber.server_port}"
        cls.postgres = Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)
        cls.server = Server(cls.postgres.url, {"EVENT_SUBSCRIBERS": ",".join(
            f"{t}={url}/{t}" for t in ("task-events", "task-recurrence", "task-reminders"))})
        cls.addClassCleanup(cls.server.stop)
        cls.client = Client(cls.server.port)
        cls.addClassCleanup(cls.client.close)

    def make_changes(self):
        call = self.client.call
        category, tag = call("create_category", name="c")["id"], call("create_tag", name="t")["id"]
        call("add_task", title="plain")
        task = call("add_task", title="ü" * 200, description="d", priority="urgent",
                    category_id=category, tag_ids=[tag], due_date=DUE, recurrence_rule="monthly",
                    timezone="Europe/Berlin")["id"]
        for change in ({"title": "u"}, {"description": None}, {"due_date": "2031-01-01T00:00:00Z"},
                       {"priority": "low", "category_id": None}):
            call("update_task", task_id=task, **change)
        call("remove_tag_from_task", task_id=task, tag_id=tag)
        call("set_reminder", task_id=task, remind_before_minutes=30)
        call("complete_task", task_id=task)
        call("delete_task", task_id=task)
        self.tell_of_a_reminder(task)

    def tell_of_a_reminder(self, task):
        """As todo-notification does: its statement is its own tests' matter."""
        self.postgres.query(
            "with i as (select todo.uuid_v7() as id) insert into todo.outbox (id, key, topic, type,"
            " source, data) select id, '7', 'task-reminders', 'ReminderSentEvent',"
            " 'notification-service', jsonb_build_object('event_id', id, 'event_type',"
            " 'reminder.sent', 'timestamp', '2026-01-02T03:04:05Z', 'user_id', 1, 'schema_version',"
            f" '1.0', 'task_id', {task}, 'reminder_time', '2026-01-02T03:04:05Z', 'title', 't',"
            " 'due_date', null, 'priority', 'low') from i")

    def test_what_goes_over_the_wire_is_as_the_documents_say(self):
        import jsonschema
        self.make_changes()
        taken = self.subscriber.taken
        count = int(self.postgres.value("select count(*) from todo.outbox"))
        wait_for(lambda: len({e["id"] for _, _, e in taken}) == count, 30, "the events")
        document = json.loads((DOCS / "asyncapi.json").read_text("utf-8"))
        self.assertEqual({e["type"] for _, _, e in taken}, set(document["components"]["schemas"]))
        for topic, content_type, event in taken:
            kind = event["type"]
            self.assertEqual(content_type, document["components"]["messages"][kind]["contentType"])
            self.assertIn(kind, document["channels"][topic]["messages"])
            self.check(jsonschema, event, {
                **document["components"]["messages"][kind]["payload"],
                "components": document["components"]})
            name = event["data"]["event_type"]
            schema = json.loads((DOCS / f"schemas/{name}.json").read_text("utf-8"))
            self.assertEqual(event["dataschema"], schema["$id"])
            self.check(jsonschema, event["data"], schema)
            for member in schema["required"]:
                broken = {k: v for k, v in event["data"].items() if k != member}
                with self.assertRaises(jsonschema.ValidationError):
                    self.check(jsonschema, broken, schema)

    def check(self, jsonschema, value, schema):
        kind = jsonschema.Draft202012Validator
        kind.check_schema(schema)
        kind(schema, format_checker=kind.FORMAT_CHECKER).validate(value)


if __name__ == "__main__":
    if "--write" in sys.argv:
        write()
    else:
        unittest.main()
