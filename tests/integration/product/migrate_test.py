#!/usr/bin/env python3
"""todo-mcp migrate: brings a database up to date and ends, once or many times, and says what it lacks."""

import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import todo_server  # noqa: E402

MIGRATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "db",
                          "migrations")


def migrate(url=None):
    env = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    if url:
        env["DATABASE_URL"] = url
    return subprocess.run([todo_server.server_binary(), "migrate"], check=False, env=env,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


class Migrate(unittest.TestCase):
    def test_an_empty_database_gets_the_schema_once(self):
        postgres = todo_server.Postgres(fsync=False)
        self.addCleanup(postgres.close)
        first = migrate(postgres.url)
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertEqual(first.stdout, "the schema is up to date\n")
        count = "select count(*) from todo.schema_migrations"
        applied = int(postgres.value(count))
        self.assertEqual(applied, len(os.listdir(MIGRATIONS)))
        self.assertEqual(migrate(postgres.url).returncode, 0)
        self.assertEqual(int(postgres.value(count)), applied)

    def test_a_rule_of_a_newer_schema_is_told_as_what_it_is(self):
        postgres = todo_server.Postgres(fsync=False)
        self.addCleanup(postgres.close)
        server = todo_server.Server(postgres.url)
        self.addCleanup(server.stop)
        client = todo_server.Client(server.port)
        self.addCleanup(client.close)
        client.call("add_task", title="before")
        postgres.query("alter table todo.tasks add constraint newer_check check (priority > 99)"
                       " not valid")
        with self.assertRaises(todo_server.ToolError) as refused:
            client.call("add_task", title="after")
        error = refused.exception.body
        self.assertEqual((error["code"], error["retryable"]), ("unavailable", False))
        self.assertIn("nothing was changed", error["message"])
        self.assertNotIn("newer_check", error["message"])
        todo_server.wait_for(lambda: any('"newer_check"' in line for line in server.lines), 10,
                             "the rule's name in the log")

    def test_a_database_that_is_away_fails_the_step(self):
        done = migrate("postgresql://127.0.0.1:1/todo")
        self.assertEqual(done.returncode, 1)
        self.assertIn("todo-mcp: ", done.stderr)

    def test_without_a_database_url_it_says_so(self):
        done = migrate()
        self.assertEqual(done.returncode, 2)
        self.assertIn("DATABASE_URL", done.stderr)


if __name__ == "__main__":
    unittest.main()
