"""What is measured and on what: a cluster with tasks, todo-mcp, the peer on the Go SDK, and the SQL
that all of them run."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
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
PEER_PARAMS = {"add_task": 8, "get_task": 2, "list_tasks": 2}  # the rest are constants there
POOL_SIZE = 16
SEED_TASKS = 1000
LARGE_TASKS = 5_000_000
LARGE_OWN = 1_000_000  # of which so many are the caller's; the rest belong to other users
OTHER_USERS = 4000


def statements(*args):
    return subprocess.run([os.environ["TODO_STATEMENTS"], *args], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


class Peer:
    """The server on the official Go SDK, over HTTP on a free port."""

    def __init__(self, world):
        env = {**os.environ, "DATABASE_URL": world.postgres.url,
               "PGOPTIONS": world.session_options}
        for operation, count in PEER_PARAMS.items():
            keep = {n: f"${n}" for n in range(1, count + 1)}
            env[f"SQL_{operation.upper()}"] = world.sql(operation, keep)
        self.process = subprocess.Popen([os.environ["TODO_PEER"]], env=env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def close(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()


class World:
    def __init__(self, env=None, binary=None):
        """`env` and `binary` are the server's."""
        self.dir = tempfile.mkdtemp(prefix="todo-bench-")
        self.postgres = Postgres(settings=["shared_buffers=512MB", "max_wal_size=8GB",
                                           "maintenance_work_mem=1GB"])
        self.server = Server(self.postgres.url, env={"POOL_SIZE": str(POOL_SIZE), **(env or {})},
                             binary=binary)
        self.peer = None

    @functools.cached_property
    def session_options(self):
        return statements("-o")

    def close(self):
        if self.peer:
            self.peer.close()
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
        self._insert("$user", f"generate_series(1, {SEED_TASKS}) n", "n % 50 = 0")
        self.postgres.query("vacuum analyze")

    def grow(self):
        """To LARGE_TASKS. The indexes that are no constraints are made anew afterwards, and foreign
        keys are not checked: what is put in is known to be right."""
        indexes = self.postgres.query(
            "select indexrelid::regclass, pg_get_indexdef(indexrelid) from pg_index "
            "where indrelid = 'todo.tasks'::regclass and not indisprimary and indexrelid not in "
            "(select conindid from pg_constraint where contype in ('u', 'x'))")
        self.postgres.query(
            "insert into todo.users (subject) "
            f"select 'other ' || n from generate_series(1, {OTHER_USERS}) n")
        for name, _ in indexes:
            self.postgres.query(f"drop index {name}")
        self._insert("$user", f"generate_series(1, {LARGE_OWN}) n", "false")
        others = LARGE_TASKS - LARGE_OWN - SEED_TASKS
        self._insert("u.id", f"(select id from todo.users where id <> {self.user_id}) u, "
                             f"generate_series(1, {others // OTHER_USERS}) n", "n % 50 = 0")
        for _, definition in indexes:
            self.postgres.query(definition)
        self.postgres.query("vacuum analyze todo.tasks")
        self.postgres.query("checkpoint")

    def _insert(self, user, rows, is_quarterly):
        """Older than what is there, in the order of `n`, so that a list shows the same page."""
        self.postgres.query(
            "set session_replication_role = replica; "
            "insert into todo.tasks (user_id, title, description, priority, due_date, timezone, "
            "created_at) "
            f"select {user.replace('$user', str(self.user_id))}, 'Task ' || n || case when "
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
        """That what is measured is an answer, and the right one."""
        client = Client(port)
        answer = client.call(operation, **self.arguments(operation))
        client.close()
        if operation == "add_task":
            title = self.postgres.value(
                f"select title from todo.tasks where user_id = {self.user_id} and id = "
                f"{answer['id']}")
            assert answer["title"] == title == ARGUMENTS[operation]["title"], answer
        elif operation == "get_task":
            assert (answer["id"], answer["title"]) == (
                self.first_id, "Prepare the quarterly review"), answer
        else:
            titles = [task["title"] for task in answer["tasks"]]
            assert len(titles) == 20, titles
            assert operation != "search_tasks" or all("quarterly" in t for t in titles), titles

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
