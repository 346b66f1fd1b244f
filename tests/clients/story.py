"""What an agent does with the 18 tools, and what each must answer. The user has nothing before and
nothing after. `tour` is the short way: each tool, and each kind of refusal, once."""

import datetime
import re
import sys
import os

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from todo_server import ToolError, wait_for  # noqa: E402

TOOLS = {  # name -> (readOnlyHint, idempotentHint, destructiveHint of a writing tool)
    "add_task": (False, False), "list_tasks": (True, True), "get_task": (True, True),
    "update_task": (False, None), "complete_task": (False, True), "delete_task": (False, None),
    "search_tasks": (True, True), "set_reminder": (False, True), "add_tag_to_task": (False, True),
    "remove_tag_from_task": (False, True), "create_category": (False, False),
    "list_categories": (True, True), "update_category": (False, None),
    "delete_category": (False, None), "create_tag": (False, False), "list_tags": (True, True),
    "update_tag": (False, None), "delete_tag": (False, None)}
DESTRUCTIVE = {"delete_task", "delete_category", "delete_tag"}
TASK_MEMBERS = {"id", "title", "description", "completed", "status", "priority", "due_date",
                "recurrence_rule", "timezone", "category", "tags", "reminder", "version",
                "created_at", "updated_at", "completed_at"}
RESOURCES = {"tasks://today", "tasks://overdue", "tasks://upcoming"}
PROMPTS = {"plan_day", "weekly_review", "triage_overdue"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
DUE, DUE_UTC = "2031-03-01T09:30:00+01:00", "2031-03-01T08:30:00Z"


class Story:
    """`t` is the unittest.TestCase whose assertions are used."""

    def __init__(self, t, session):
        self.t = t
        self.session = session
        self.call = session.call
        self.equal = t.assertEqual

    def refused(self, tool, arguments, code, field=None, retryable=False):
        with self.t.assertRaises(ToolError, msg=f"{tool} {arguments}") as raised:
            self.call(tool, **arguments)
        error = raised.exception.body
        self.equal((error["code"], error.get("field"), error["retryable"]),
                   (code, field, retryable), error)
        self.t.assertGreater(len(error["message"]), 10)
        return error

    def has(self, answer, **members):
        self.equal({k: answer.get(k, "absent") for k in members}, members)
        return answer

    def is_task(self, task, **members):
        """A whole task, with these members."""
        self.t.assertLessEqual(TASK_MEMBERS, set(task))
        for member in ("created_at", "updated_at"):
            self.t.assertRegex(task[member], TIME)
        self.equal(task["status"], "completed" if task["completed"] else "pending")
        self.equal(task["completed_at"] is None, not task["completed"])
        return self.has(task, **members)

    # ---- steps ------------------------------------------------------------------------------

    def tools_are_listed(self):
        tools = self.session.tools
        self.equal(set(tools), set(TOOLS))
        for name, tool in tools.items():
            read_only, idempotent = TOOLS[name]
            hints = tool["annotations"]
            self.equal(hints["readOnlyHint"], read_only, name)
            if idempotent is not None:
                self.equal(hints["idempotentHint"], idempotent, name)
            self.t.assertIs(hints["openWorldHint"], False, name)
            if name in DESTRUCTIVE or read_only:
                self.equal(hints["destructiveHint"], name in DESTRUCTIVE, name)
            self.equal(tool["inputSchema"]["type"], "object", name)
            self.t.assertTrue(tool["description"], name)
            if self.session.revision > "2025-03-26":
                self.equal(tool["outputSchema"]["type"], "object", name)
                self.t.assertTrue(tool["title"], name)

    def nothing_is_there(self):
        answer, text = self.session.answer("list_tasks", include_total=True)
        self.equal(answer, {"tasks": [], "next_cursor": None, "total": 0})
        self.t.assertTrue(text)
        self.equal(self.call("list_categories"), {"categories": []})
        self.equal(self.call("list_tags"), {"tags": []})

    def labels(self, kind, plural):
        create, update, listing = f"create_{kind}", f"update_{kind}", f"list_{plural}"
        first = self.has(self.call(create, name=" home ", color="#00aaFF"), name="home")
        self.equal(first["color"].lower(), "#00aaff")
        self.t.assertRegex(first["created_at"], TIME)
        second = self.has(self.call(create, name="attic"), name="attic", color=None)
        self.refused(create, {"name": "home"}, "duplicate_name", "name")
        self.has(self.call(create, name="Home"), name="Home")
        self.refused(update, {f"{kind}_id": second["id"], "name": "Home"}, "duplicate_name", "name")
        self.has(self.call(update, **{f"{kind}_id": second["id"]}, name="Attic", color="#123456"),
                 id=second["id"], name="Attic", color="#123456")
        self.has(self.call(update, **{f"{kind}_id": second["id"]}, color=None), name="Attic",
                 color=None)
        listed = self.call(listing)[plural]
        self.equal(sorted(x["name"] for x in listed), ["Attic", "Home", "home"])
        self.equal({x["task_count"] for x in listed}, {0})
        self.refused(create, {"name": ""}, "validation_error", "name")
        self.refused(create, {"name": "x", "color": "red"}, "validation_error", "color")
        self.refused(update, {f"{kind}_id": 999_999_999, "name": "x"}, "not_found", f"{kind}_id")
        self.refused(f"delete_{kind}", {f"{kind}_id": 999_999_999}, "not_found", f"{kind}_id")
        self.has(self.call(f"delete_{kind}", **{f"{kind}_id": second["id"]}), deleted=True,
                 tasks_affected=0)
        return [x["id"] for x in listed if x["name"] != "Attic"]

    def task_with_everything(self, category, tags):
        arguments = {"title": "  Water the plants ", "description": "Balcony first.\nThen the rest",
                     "priority": "high", "category_id": category, "tag_ids": tags, "due_date": DUE,
                     "recurrence_rule": "weekly", "timezone": "Europe/Berlin",
                     "idempotency_key": "plants"}
        task = self.is_task(self.call("add_task", **arguments), title="Water the plants",
                            description=arguments["description"], priority="high",
                            due_date=DUE_UTC, recurrence_rule="FREQ=WEEKLY", completed=False,
                            timezone="Europe/Berlin", reminder=None, version=1)
        self.equal(task["category"]["id"], category)
        self.equal(sorted(tag["id"] for tag in task["tags"]), sorted(tags))
        self.equal(self.call("add_task", **arguments)["id"], task["id"])
        self.equal(self.call("get_task", task_id=task["id"]), task)
        return task

    def update(self, task):
        changed = self.is_task(
            self.call("update_task", task_id=task["id"], title="Water all plants", priority="medium",
                      expected_version=1), title="Water all plants", priority="medium", version=2)
        self.equal(sorted(changed["updated_fields"]), ["priority", "title"])
        same = self.call("update_task", task_id=task["id"], title="Water all plants")
        self.has(same, updated_fields=[], version=2)
        error = self.refused("update_task", {"task_id": task["id"], "title": "x",
                                             "expected_version": 1}, "conflict",
                             "expected_version")
        self.equal(error["current"]["version"], 2)
        self.refused("update_task", {"task_id": task["id"]}, "validation_error")
        self.refused("update_task", {"task_id": task["id"], "title": None}, "validation_error",
                     "title")
        removed = self.call("update_task", task_id=task["id"], category_id=None, description=None,
                            recurrence_rule="")
        self.is_task(removed, category=None, description=None, recurrence_rule=None, version=3)

    def reminder(self, task):
        answer = self.call("set_reminder", task_id=task["id"], remind_before_minutes=90)
        self.has(answer["reminder"], remind_at="2031-03-01T07:00:00Z", remind_before_minutes=90,
                 sent=False)
        at = (datetime.datetime.now(datetime.timezone.utc)
              + datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = self.call("set_reminder", task_id=task["id"], remind_at=at)
        self.has(answer["reminder"], remind_at=at, remind_before_minutes=None)
        self.refused("set_reminder", {"task_id": task["id"], "remind_at": "2001-01-01T00:00:00Z"},
                     "validation_error", "remind_at")
        answer = self.call("set_reminder", task_id=task["id"], remind_at=None)
        self.is_task(answer, reminder=None)

    def tagging(self, task, tag):
        off = self.call("remove_tag_from_task", task_id=task["id"], tag_id=tag)
        self.has(off, changed=True)
        self.t.assertNotIn(tag, [x["id"] for x in off["tags"]])
        self.has(self.call("remove_tag_from_task", task_id=task["id"], tag_id=tag), changed=False)
        on = self.is_task(self.call("add_tag_to_task", task_id=task["id"], tag_id=tag))
        self.has(on, changed=True)
        self.t.assertIn(tag, [x["id"] for x in on["tags"]])
        self.has(self.call("add_tag_to_task", task_id=task["id"], tag_id=tag), changed=False)

    def tags_have_a_limit(self):
        tags = [self.call("create_tag", name=f"limit {n}")["id"] for n in range(11)]
        task = self.call("add_task", title="Eleven", tag_ids=tags[:10])
        self.refused("add_tag_to_task", {"task_id": task["id"], "tag_id": tags[10]},
                     "limit_exceeded", "tag_id")
        self.call("delete_task", task_id=task["id"])
        for tag in tags:
            self.call("delete_tag", tag_id=tag)

    def lists(self, category, tag):
        added = [self.call("add_task", title=f"Errand {n}", priority=priority,
                           **({"category_id": category} if n % 2 else {"tag_ids": [tag]}))["id"]
                 for n, priority in enumerate(["low", "urgent", "medium", "high", "low"])]
        first, text = self.session.answer("list_tasks", limit=2, include_total=True, priority="low")
        self.equal([t["id"] for t in first["tasks"]], [added[4], added[0]])
        self.equal(first["total"], 2)
        if self.session.revision > "2025-03-26":
            self.t.assertIn("Errand 4", text)
        seen, cursor = [], None
        while True:
            page = self.call("list_tasks", limit=2, sort_by="priority", tag_ids=[tag],
                             **({"cursor": cursor} if cursor else {}))
            seen += [t["id"] for t in page["tasks"]]
            cursor = page["next_cursor"]
            if not cursor:
                break
        self.equal([i for i in seen if i in added], [added[2], added[4], added[0]])
        mine = self.call("list_tasks", category_id=category, order="asc", fields=["title"])
        self.equal(mine["tasks"], [{"id": added[1], "title": "Errand 1"},
                                   {"id": added[3], "title": "Errand 3"}])
        counts = {c["id"]: c["task_count"] for c in self.call("list_categories")["categories"]}
        self.equal(counts[category], 2)
        self.refused("list_tasks", {"cursor": "AAAA"}, "validation_error", "cursor")
        self.refused("list_tasks", {"limit": 201}, "validation_error", "limit")
        self.refused("list_tasks", {"sort_by": "title"}, "validation_error", "sort_by")
        return added

    def search(self):
        with_word = self.call("add_task", title="Quarterly report",
                              description="Numbers for the umbrella fund")["id"]
        in_text = self.call("add_task", title="Call the bank",
                            description="about the quarterly statement")["id"]
        found = self.call("search_tasks", query="quarterly")["tasks"]
        self.equal([t["id"] for t in found], [with_word, in_text])
        self.t.assertGreater(found[0]["search_rank"], found[1]["search_rank"])
        self.t.assertTrue(found[0]["highlights"])
        self.equal([t["id"] for t in self.call("search_tasks", query="umbr")["tasks"]],
                   [with_word])
        self.t.assertIn(with_word, [t["id"] for t in
                                    self.call("search_tasks", query="Quartrely report")["tasks"]])
        self.equal(self.call("search_tasks", query="quarterly", status="completed")["tasks"], [])
        self.refused("search_tasks", {"query": ""}, "validation_error", "query")
        return [with_word, in_text]

    def complete(self, task_id):
        self.has(self.is_task(self.call("complete_task", task_id=task_id), completed=True),
                 already_completed=False)
        self.has(self.call("complete_task", task_id=task_id), already_completed=True)
        done = self.call("list_tasks", status="completed")["tasks"]
        self.equal([t["id"] for t in done], [task_id])
        self.t.assertIs(done[0]["completed"], True)

    def delete(self, task_ids):
        for task_id in task_ids:
            self.equal(self.call("delete_task", task_id=task_id),
                       {"deleted": True, "task_id": task_id})
        for tool in ("get_task", "complete_task", "delete_task"):
            self.refused(tool, {"task_id": task_ids[0]}, "not_found", "task_id")

    def bad_arguments(self):
        for arguments, field in [
                ({}, "title"), ({"title": " "}, "title"), ({"title": "x" * 201}, "title"),
                ({"title": 7}, "title"), ({"title": "x", "colour": "red"}, "colour"),
                ({"title": "x", "due_date": "2031-03-01T09:30:00"}, "due_date"),
                ({"title": "x", "priority": "huge"}, "priority"),
                ({"title": "x", "timezone": "Mars/Base"}, "timezone"),
                ({"title": "x", "due_date": DUE, "recurrence_rule": "FREQ=HOURLY"},
                 "recurrence_rule"),
                ({"title": "x", "recurrence_rule": "daily"}, "due_date")]:
            self.refused("add_task", arguments, "validation_error", field)
        self.refused("add_task", {"title": "x", "category_id": 999_999_999}, "not_found",
                     "category_id")
        self.refused("get_task", {"task_id": 0}, "validation_error", "task_id")

    def resources(self):
        """What else a client sees: resources, one of which changes, and prompts."""
        session = self.session
        self.equal(session.names("resources/list", "resources", "uri"), RESOURCES)
        self.equal(session.names("prompts/list", "prompts", "name"), PROMPTS)
        self.t.assertIn("list_tasks", session.prompt("plan_day"))
        session.subscribe("tasks://today")
        self.equal(session.read("tasks://today")["tasks"], [])
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        task = self.call("add_task", title="Feed the cat", due_date=now)["id"]
        wait_for(lambda: "tasks://today" in session.heard(), 20, "word of a resource's update")
        self.equal([t["id"] for t in session.read("tasks://today")["tasks"]], [task])
        self.equal(session.read(f"task://{task}")["title"], "Feed the cat")
        self.call("delete_task", task_id=task)

    # ---- whole stories ----------------------------------------------------------------------

    def run(self):
        self.tools_are_listed()
        self.nothing_is_there()
        categories = self.labels("category", "categories")
        tags = self.labels("tag", "tags")
        task = self.task_with_everything(categories[0], tags)
        self.update(task)
        self.reminder(task)
        self.tagging(task, tags[0])
        self.tags_have_a_limit()
        errands = self.lists(categories[1], tags[1])
        found = self.search()
        self.complete(errands[0])
        self.bad_arguments()
        self.has(self.call("delete_category", category_id=categories[1]), deleted=True,
                 tasks_affected=2)
        self.equal(self.call("get_task", task_id=errands[1])["category"], None)
        self.call("delete_category", category_id=categories[0])
        for tag in tags:
            self.call("delete_tag", tag_id=tag)
        self.delete([task["id"], *errands, *found])
        if self.session.hears:
            self.resources()
        self.nothing_is_there()

    def tour(self):
        self.tools_are_listed()
        category = self.call("create_category", name="home", color="#00AAFF")["id"]
        tag = self.call("create_tag", name="soon")["id"]
        self.refused("create_tag", {"name": "soon"}, "duplicate_name", "name")
        self.has(self.call("update_category", category_id=category, name="house"), name="house")
        self.has(self.call("update_tag", tag_id=tag, color="#010203"), color="#010203")
        task = self.task_with_everything(category, [tag])
        one = {"task_id": task["id"]}
        self.has(self.call("update_task", **one, title="Water all", expected_version=1),
                 title="Water all", updated_fields=["title"], version=2)
        self.refused("update_task", {**one, "title": "x", "expected_version": 1}, "conflict",
                     "expected_version")
        self.has(self.call("set_reminder", **one, remind_before_minutes=90)["reminder"],
                 remind_at="2031-03-01T07:00:00Z")
        self.has(self.call("remove_tag_from_task", **one, tag_id=tag), changed=True, tags=[])
        self.has(self.call("add_tag_to_task", **one, tag_id=tag), changed=True)
        self.equal([c["task_count"] for c in self.call("list_categories")["categories"]], [1])
        self.equal([t["task_count"] for t in self.call("list_tags")["tags"]], [1])
        self.equal([t["id"] for t in self.call("search_tasks", query="wate")["tasks"]],
                   [task["id"]])
        self.refused("add_task", {"title": ""}, "validation_error", "title")
        self.has(self.call("complete_task", **one), completed=True, already_completed=False)
        self.equal([t["id"] for t in self.call("list_tasks", status="completed")["tasks"]],
                   [task["id"]])
        self.has(self.call("delete_category", category_id=category), tasks_affected=1)
        self.has(self.call("delete_tag", tag_id=tag), tasks_affected=1)
        self.has(self.call("delete_task", **one), deleted=True, **one)
        self.refused("get_task", one, "not_found", "task_id")
