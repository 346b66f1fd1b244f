"""What is measured and on what: a cluster with tasks, todo-mcp, its peers, and the SQL that all of them
run."""

import datetime
import functools
import json
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from plans import statements  # noqa: E402
from todo_server import MODERN, Client, Postgres, Server  # noqa: E402

META = {"io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {}}
OPERATIONS = ("add_task", "get_task", "list_tasks", "search_tasks")
READS = OPERATIONS[1:]
# What each operation is called with, the server's statement for it, and that statement's parameters
# as the server sends them for the call: {user} and {task} stand for ids.
ARGUMENTS = {
    "add_task": {"title": "Write the report of the week"},
    "get_task": {"task_id": None},
    "list_tasks": {"limit": 20},
    "search_tasks": {"query": "quarterly", "limit": 20},
}
STATEMENTS = {
    "add_task": ("task_add", ["{user}", "'Write the report of the week'", "null", "1", "null",
                              "null", "null", "null"]),
    "get_task": ("task_get", ["{user}", "{task}"]),
    "list_tasks": ("task_list_created_desc",
                   ["{user}", "21", "'infinity'", "9223372036854775807", "true", "true",
                    "'{0,1,2,3}'", "'-infinity'", "'infinity'", "true"]),
    "search_tasks": ("task_search", ["{user}", "'quarterly'", "21", "'{f,t}'", "'infinity'", "0",
                                     "0"]),
}
POOL_SIZE = 16
# How many tasks the table has, how many of them are the caller's, and how many other users have the
# rest.
SIZES = {1_000: (1_000, 0), 100_000: (20_000, 400), 5_000_000: (1_000_000, 4_000)}
SMALL, MIDDLE, LARGE = SIZES
# What every answer has to say of a task.
MEMBERS = ("id", "title", "description", "completed", "priority", "due_date", "timezone", "version",
           "created_at")


def essence(task):
    """A task's MEMBERS, times to the millisecond. Lists leave out what is null."""
    got = {**dict.fromkeys(MEMBERS), **{k: v for k, v in task.items() if k in MEMBERS}}
    if "status" in task:
        got["completed"] = task["status"] == "completed"
    for member in ("due_date", "created_at"):
        if got[member]:
            time = datetime.datetime.fromisoformat(got[member])
            got[member] = time.replace(microsecond=time.microsecond // 1000 * 1000)
    return got


class World:
    def __init__(self, env=None, binary=None):
        """`env` and `binary` are the server's."""
        self.dir = tempfile.mkdtemp(prefix="todo-bench-")
        self.postgres = Postgres(settings=["shared_buffers=512MB", "max_wal_size=8GB",
                                           "maintenance_work_mem=1GB", "max_connections=500"])
        self.server = Server(self.postgres.url, env={"POOL_SIZE": str(POOL_SIZE), **(env or {})},
                             binary=binary)
        self.tasks = 0  # in the table, but for those that are added while it is measured
        self.last_id = 0  # of them

    @functools.cached_property
    def session_options(self):
        return statements("-o")

    def close(self):
        if self.server.is_running():
            self.server.stop()
        self.postgres.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- tasks -----------------------------------------------------------------------------------

    def seed(self):
        client = Client(self.server.port)
        self.first_id = client.call("add_task", title="Prepare the quarterly review")["id"]
        client.close()
        self.user_id = int(self.postgres.value("select user_id from todo.tasks limit 1"))
        self._insert(str(self.user_id), f"generate_series(1, {SMALL - 1}) n", "n % 50 = 0")
        self._settle(SMALL)

    def grow(self, size):
        """To one of SIZES. The indexes that are no constraints are made anew afterwards, and foreign
        keys are not checked: what is put in is known to be right."""
        own, users = SIZES[size]
        indexes = self.postgres.query(
            "select indexrelid::regclass, pg_get_indexdef(indexrelid) from pg_index "
            "where indrelid = 'todo.tasks'::regclass and not indisprimary and indexrelid not in "
            "(select conindid from pg_constraint where contype in ('u', 'x'))")
        self.postgres.query(
            "insert into todo.users (subject) "
            f"select 'other ' || {size} || ' ' || n from generate_series(1, {users}) n")
        for name, _ in indexes:
            self.postgres.query(f"drop index {name}")
        more = own - SIZES[self.tasks][0]
        self._insert(str(self.user_id), f"generate_series(1, {more}) n", "false")
        self._insert("u.id", f"(select id from todo.users where subject like 'other {size} %') u, "
                             f"generate_series(1, {(size - self.tasks - more) // users}) n",
                     "n % 50 = 0")
        for _, definition in indexes:
            self.postgres.query(definition)
        self._settle(size)

    def _settle(self, size):
        self.tasks = size
        self.last_id = int(self.postgres.value("select max(id) from todo.tasks"))
        self.postgres.query("vacuum analyze")
        self.postgres.query("checkpoint")

    def shrink(self):
        """Takes away what was added since it grew, so that all find a table of the same size."""
        self.postgres.query(f"delete from todo.tasks where user_id = {self.user_id}"
                            f" and id > {self.last_id}")
        self.postgres.query("truncate todo.outbox")
        self.postgres.query("vacuum todo.tasks")

    def _insert(self, user, rows, is_quarterly):
        """Older than what is there, in the order of `n`, so that a list shows the same page."""
        self.postgres.query(
            "set session_replication_role = replica; "
            "insert into todo.tasks (user_id, title, description, priority, due_date, timezone, "
            "created_at) "
            f"select {user}, 'Task ' || n || case when "
            f"{is_quarterly} then ' quarterly' else '' end, 'Some words about task ' || n, n % 4, "
            "now() + n * interval '1 minute', 'UTC', now() - interval '10 years' + n * interval "
            f"'1 second' from {rows}")

    # ---- what is called --------------------------------------------------------------------------

    def arguments(self, operation):
        arguments = dict(ARGUMENTS[operation])
        if operation == "get_task":
            arguments["task_id"] = self.first_id
        return arguments

    def message(self, operation, request_id=1, arguments=None):
        return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": {
            "name": operation, "arguments": arguments or self.arguments(operation), "_meta": META}})

    def check(self, port, operation):
        """The answer, which has to be the right one."""
        client = Client(port)
        answer = client.call(operation, **self.arguments(operation))
        client.close()
        if operation == "add_task":
            self._check_added(answer)
        elif operation == "get_task":
            assert (answer["id"], answer["title"]) == (
                self.first_id, "Prepare the quarterly review"), answer
        else:
            titles = [task["title"] for task in answer["tasks"]]
            assert len(titles) == 20, titles
            assert operation != "search_tasks" or all("quarterly" in t for t in titles), titles
        return answer

    def _check_added(self, answer):
        title = ARGUMENTS["add_task"]["title"]
        rows = self.postgres.query(
            "select t.title, o.topic, o.type, o.data ->> 'title' from todo.tasks t"
            " join todo.outbox o on o.key = t.id::text"
            f" where t.user_id = {self.user_id} and t.id = {answer['id']}")
        assert rows == [[title, "task-events", "TaskCreatedEvent", title]], (answer, rows)
        assert answer["title"] == title, answer

    def check_same(self, port, operation):
        """That a peer answers what todo-mcp answers."""
        ours, theirs = (self.check(p, operation) for p in (self.server.port, port))
        for ours, theirs in zip(*(answer.get("tasks", [answer]) for answer in (ours, theirs))):
            ours, theirs = essence(ours), essence(theirs)
            if operation == "add_task":  # two tasks, one after the other
                for one in (ours, theirs):
                    assert one.pop("id") > 0 and one.pop("created_at"), one
            assert ours == theirs, (operation, ours, theirs)

    def _values(self, operation):
        return [v.format(user=self.user_id, task=self.first_id) if v.startswith("{") else v
                for v in STATEMENTS[operation][1]]

    def sql(self, operation, keep):
        """The operation's statement with its parameters replaced: by keep[n], else by constants."""
        values = self._values(operation)
        return re.sub(r"\$(\d+)", lambda m: keep.get(int(m[1])) or values[int(m[1]) - 1],
                      statements(STATEMENTS[operation][0]))

    def pgbench_script(self, operation):
        """For -M prepared: numbers are variables, which become parameters; texts are constants."""
        values = self._values(operation)
        numbers = [n for n, v in enumerate(values, 1) if v.lstrip("-").isdigit()]
        path = f"{self.dir}/{operation}.sql"
        with open(path, "w", encoding="utf-8") as f:
            f.writelines(f"\\set p{n} {values[n - 1]}\n" for n in numbers)
            f.write(self.sql(operation, {n: f":p{n}" for n in numbers}) + ";\n")
        return path
