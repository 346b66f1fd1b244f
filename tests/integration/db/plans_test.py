#!/usr/bin/env python3
"""The plans of the program's statements, and that every index earns its keep.

On a database of many users and 100,000 tasks no statement reads a whole table, and no list sorts
more than its page. After each tool was called, each index has been used, or stands in WAITING; unique ones
are there for what they forbid.

TODO_MCP names the program, TODO_STATEMENTS the one that prints its SQL."""

import contextlib
import glob
import os
import re
import sys
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, f"{ROOT}/tests/lib")
import plans  # noqa: E402
import todo_server  # noqa: E402

# Indexes of queries that no tool makes: this test fails when one of them is used.
WAITING = {
    "reminders_due": "todo-notification, which has tests of its own",
    "tasks_default_reminder": "todo-notification",
    "state_by_expiry": "the workers",
}
# No plan, but what the server does by itself.
UTILITY = {"vacuum_stmt"}

FILL = """
insert into todo.users (subject) select 'filler ' || n from generate_series(1, 200) n;
insert into todo.categories (user_id, name)
    select u.id, 'c' || n from todo.users u, generate_series(1, 5) n;
insert into todo.tags (user_id, name)
    select u.id, 't' || n from todo.users u, generate_series(1, 5) n;
set session_replication_role = replica; -- foreign keys are right as they are
insert into todo.tasks (user_id, title, timezone, priority, due_date, category_id, completed,
                        completed_at, created_at, updated_at)
    select c.user_id, 'task ' || n || ' ' || md5(n::text), 'UTC', n % 4,
           case when n % 3 <> 0 then now() + make_interval(hours => n) end, c.id,
           n % 2 = 0, case when n % 2 = 0 then now() end,
           now() - make_interval(mins => n), now() - make_interval(mins => n % 17)
    from todo.categories c, generate_series(1, 100) n;
insert into todo.task_tags
    select t.user_id, t.id, g.id from todo.tasks t join todo.tags g using (user_id)
    where (t.id + g.id) % 20 = 0;
insert into todo.reminders (user_id, task_id, before_minutes, remind_at)
    select user_id, id, 10, due_date - interval '10 min' from todo.tasks
    where due_date is not null and id % 5 = 0;
insert into todo.idempotency_keys (user_id, key, task_id)
    select user_id, 'k' || id, id from todo.tasks where id % 5 = 0;
insert into todo.outbox (id, key, topic, type, data, published_at)
    select todo.uuid_v7(), id::text, 'task-events', 'TaskCreatedEvent', '{}',
           case when id % 9 <> 0 then now() end from todo.tasks;
insert into todo.inbox (consumer, event_id, processed_at)
    select 'filler', todo.uuid_v7(), now() - make_interval(mins => n) from generate_series(1, 5000) n;
insert into todo.dead_letters (consumer, event_id, topic, reason, attempts, event, published_at)
    select 'filler', 'e' || n, 'task-events', 'filler', 1, '{}', case when n % 9 <> 0 then now() end
    from generate_series(1, 5000) n;
insert into todo.state (key, value, expires_at)
    select 'k' || n, '1', now() + make_interval(mins => n) from generate_series(1, 5000) n;
insert into todo.api_keys (user_id, name, key_hash)
    select id, 'k', sha256(id::text::bytea) from todo.users;
analyze;
"""


def reads_tasks_uncut(plan):
    """Whether the rows of `tasks` reach this node with no limit between."""
    if plan["Node Type"] == "Limit":
        return False
    return plan.get("Relation Name") == "tasks" or any(
        reads_tasks_uncut(child) for child in plan.get("Plans", []))


class Plans(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = todo_server.Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)
        server = todo_server.Server(cls.postgres.url, {"TODO_USER": "someone"})
        server.stop()  # it has made the schema
        cls.postgres.query(FILL)

    def test_no_statement_reads_a_whole_table(self):
        count, wrong = plans.wrong(self.postgres)
        self.assertGreater(count, 90)
        self.assertEqual(wrong, {})

    def test_every_statement_of_the_program_is_looked_at(self):
        """Each `struct db_stmt` of db/ stands in tests/support/statements.c, and none elsewhere."""
        with open(f"{ROOT}/tests/support/statements.c", encoding="utf-8") as f:
            listed = f.read()
        defined = []
        for folder in ("db", "events", "tools", "apps", "mcp", "base", "dapr"):
            for path in glob.glob(f"{ROOT}/{folder}/**/*.c", recursive=True):
                with open(path, encoding="utf-8") as f:
                    defined += re.findall(r"^(?:static )?const struct db_stmt (\w+)(?:\[.*)? = \{",
                                          f.read(), re.MULTILINE)
        self.assertGreater(len(defined), 20)
        missing = [name for name in defined if not re.search(rf"\b{name}\b", listed)]
        self.assertEqual(set(missing), UTILITY)

    def test_a_list_sorts_only_what_its_limit_has_cut(self):
        """So that a page costs what a page costs, however many tasks there are."""
        lists = {name: plan for name, plan in plans.plans(self.postgres).items()
                 if name.startswith("task_list_")}
        self.assertEqual(len(lists), 32)
        for name, plan in lists.items():
            scans = [node["Node Type"] for node, _ in plans.nodes(plan)
                     if node.get("Relation Name") == "tasks"]
            self.assertTrue(scans and set(scans) <= {"Index Scan", "Index Only Scan"}, name)
            for node, _ in plans.nodes(plan):
                if "Sort" in node["Node Type"]:
                    self.assertFalse(reads_tasks_uncut(node), name)

    def test_every_index_is_used_by_a_tool(self):
        self.postgres.query("select pg_stat_reset()")
        server = todo_server.Server(self.postgres.url, {"TODO_USER": "someone"})
        client = todo_server.Client(server.port)
        self.use_every_tool(client)
        # The relay's upkeep goes step by step, and sessions tell of their scans a second late.
        with contextlib.suppress(TimeoutError):
            todo_server.wait_for(lambda: self.unused() == set(WAITING), 60, "the last index")
        client.close()
        server.stop()
        self.assertEqual(self.unused(), set(WAITING))

    def unused(self):
        return {row[0] for row in self.postgres.query(
            "select s.indexrelname from pg_stat_user_indexes s join pg_index i using (indexrelid)"
            " where s.schemaname = 'todo' and s.idx_scan = 0 and not i.indisunique")}

    def use_every_tool(self, client):
        due = "2030-01-01T10:00:00Z"
        category = client.call("create_category", name="c")["id"]
        tag = client.call("create_tag", name="t")["id"]
        task = client.call("add_task", title="first task", due_date=due, category_id=category,
                           tag_ids=[tag], recurrence_rule="daily", idempotency_key="key")["id"]
        other = client.call("add_task", title="other")["id"]
        for sort in ("created_at", "updated_at", "due_date", "priority"):
            client.call("list_tasks", sort_by=sort)
        client.call("list_tasks", category_id=category)
        client.call("list_tasks", tag_ids=[tag])
        client.call("search_tasks", query="fir")
        client.call("search_tasks", query="frist")
        client.call("list_categories")
        client.call("list_tags")
        client.call("set_reminder", task_id=task, remind_before_minutes=5)
        client.call("update_task", task_id=task, title="renamed")
        client.call("add_tag_to_task", task_id=other, tag_id=tag)
        client.call("complete_task", task_id=task)
        client.call("delete_tag", tag_id=tag)
        client.call("delete_category", category_id=category)
        client.call("delete_task", task_id=task)


if __name__ == "__main__":
    unittest.main()
