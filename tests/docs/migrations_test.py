"""A migration leaves the schema fit for the programs of the version before it, and holds no lock for
long on a table that they use (docs/operations.md, Upgrade). So a file after the first only adds. What
does more says why in a line before the statement, `-- expand-only: REASON`; what takes something away
also has a name NNNN_contract_MMMM_….sql."""

import os
import re
import unittest

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "db", "migrations")
MARK = re.compile(r"--\s*expand-only:\s*\S.*")
NAME = re.compile(r"\d{4}_(?P<contract>contract_\d{4}_)?\w+\.sql")
ADD_COLUMN = r"\badd column (?:if not exists )?"

# What takes something away from an older program, and what only holds a lock: (what, pattern).
TAKES = [
    ("drops", r"^drop (?!index\b)|\bdrop (?:column|default|identity|expression)\b"),
    ("renames", r"\brename\b"),
    ("changes a column's type", r"\balter(?: column)? \S+ (?:set data )?type\b"),
    ("sets not null", r"\bset not null\b"),
    ("adds a column that older inserts leave out",
     ADD_COLUMN + r"(?![^,]*\b(?:default|generated)\b)[^,]*\bnot null\b"),
    ("revokes", r"^revoke\b"),
    ("deletes rows", r"^(?:delete|truncate)\b"),
]
LOCKS = [
    ("drops an index", r"^drop index\b"),
    ("rewrites a table", r"^(?:cluster|vacuum)\b|" + ADD_COLUMN
     + r"[^,]*\b(?:default [^,]*(?:random|uuid|clock_timestamp|nextval)|generated)"),
    ("changes many rows", r"^(?:update|merge)\b"),
    ("checks all rows", r"\badd (?:constraint \S+ )?(?:check|foreign key|unique|primary key|exclude)\b"
     r"(?![^,]*\bnot valid\b)|" + ADD_COLUMN + r"[^,]*\b(?:check|unique|primary key)\b"),
    ("locks", r"^lock\b"),
    ("runs a block, which is not read here", r"^do\b"),
]
INDEX = re.compile(r"^create (?:unique )?index (?:concurrently )?(?:if not exists )?(?:\S+ )?on "
                   r"(?:only )?(?P<table>\S+)")
TABLE = re.compile(r"^create (?:unlogged )?table (?:if not exists )?(?P<table>[\w.]+)")

# Of before there was a release; an applied file is never changed, so they have no marks.
UNRELEASED = {
    "0002_events.sql": ["adds an index to todo.inbox", "adds an index to todo.outbox",
                        "adds an index to todo.outbox", "checks all rows", "drops an index"],
    "0003_reminders.sql": ["adds an index to todo.tasks", "changes many rows"],
    "0006_outbox_upkeep.sql": ["adds an index to todo.dead_letters"],
}


def statements(text):
    """(statement on one line in lower case, has it the mark?); strings, bodies and what is in
    brackets are emptied."""
    token = re.compile(r"--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|;|[^-/$';]+|.", re.S)
    found, words, is_marked = [], "", False
    for match in token.finditer(text + ";"):
        part = match.group()
        if part.startswith("--"):
            is_marked |= bool(MARK.fullmatch(part))
        elif part == ";":
            line, before = " ".join(words.lower().split()), None
            while line != before:
                line, before = re.sub(r"\([^()]+\)", "()", line), line
            if line:
                found.append((line, is_marked))
            words, is_marked = "", False
        elif not part.startswith("/*"):
            is_text = part[0] in "$'" and len(part) > 1
            words += " '' " if is_text else part
    return found


def index_fault(statement, made):
    index = INDEX.match(statement)
    if index and index["table"] not in made:
        return [f"adds an index to {index['table']}"]
    return []


def faults(name, text):
    """What a file does that it may not, as sorted words."""
    is_contract = bool(NAME.fullmatch(name)["contract"])
    made, found = set(), []
    for statement, is_marked in statements(text):
        if table := TABLE.match(statement):
            made.add(table["table"])
            continue
        takes = [what for what, pattern in TAKES if re.search(pattern, statement)]
        locks = [what for what, pattern in LOCKS if re.search(pattern, statement)]
        locks += index_fault(statement, made)
        if not is_marked:
            found += takes + locks
        elif takes and not is_contract:
            found += [f"{what}, in a file whose name has no contract" for what in takes]
    return sorted(found)


class Files(unittest.TestCase):
    def test_each_file_after_the_first_only_adds(self):
        names = sorted(os.listdir(FOLDER))
        self.assertEqual([name[:4] for name in names],
                         [f"{n:04}" for n in range(1, len(names) + 1)])
        for name in names[1:]:
            with self.subTest(name), open(os.path.join(FOLDER, name), encoding="utf-8") as f:
                self.assertEqual(faults(name, f.read()), UNRELEASED.get(name, []))


class Rules(unittest.TestCase):
    """Of SQL that is like a migration's: what is found in it."""

    refused = {
        "drop table todo.state": "drops",
        "alter table todo.tasks\n    DROP  COLUMN title": "drops",
        "alter table todo.tasks add column a int, drop column b": "drops",
        "drop function todo.rfc3339(timestamptz)": "drops",
        "alter table todo.tasks rename column title to name": "renames",
        "alter table todo.tasks rename to jobs": "renames",
        "alter table todo.tasks alter column id type text": "changes a column's type",
        "alter table todo.tasks alter id set data type text": "changes a column's type",
        "alter table todo.tasks alter column title set not null": "sets not null",
        "alter table todo.tasks add column a int not null":
            "adds a column that older inserts leave out",
        "alter table todo.tasks add column a numeric(9, 2) not null":
            "adds a column that older inserts leave out",
        "alter table todo.tasks add column a int not null, add column b int default 1":
            "adds a column that older inserts leave out",
        "delete from todo.inbox": "deletes rows",
        "drop index todo.tasks_due": "drops an index",
        "update todo.tasks set a = 1": "changes many rows",
        "create index a on todo.tasks (title)": "adds an index to todo.tasks",
        "create unique index on todo.outbox (id)": "adds an index to todo.outbox",
        "alter table todo.tasks add constraint a check (id > 0)": "checks all rows",
        "alter table todo.tasks add check (id > 0)": "checks all rows",
        "alter table todo.tasks add column a uuid default gen_random_uuid()": "rewrites a table",
        "alter table todo.tasks add column a int check (a > 0)": "checks all rows",
        "alter table todo.tasks add check (a > 0), add check (b > 0) not valid": "checks all rows",
        "lock table todo.tasks": "locks",
        "do $$ begin drop table todo.a; end $$": "runs a block, which is not read here",
        "select 'a;b'; drop view todo.v": "drops",
        "-- it's no string\ndrop view todo.v": "drops",
    }
    allowed = (
        "alter table todo.tasks add column a text",
        "alter table todo.tasks add column a int not null default 1",
        "alter table todo.tasks add constraint a check (id > 0) not valid",
        "create table todo.a (id int primary key, b text not null); create index on todo.a (b)",
        "create table todo.a (id int); create unique index a_id on todo.a (id) where id > 0",
        "comment on table todo.tasks is 'drop table; it''s rename'; select 1",
        "-- drop table todo.tasks;\nselect 1",
        "/* drop table todo.tasks; */ select 1",
        "create function todo.a() returns int language sql as $f$ select 1; delete from b $f$",
        "alter table todo.outbox set (autovacuum_vacuum_scale_factor = 0)",
    )

    def test_what_is_refused(self):
        for sql, what in self.refused.items():
            with self.subTest(sql):
                self.assertEqual(faults("0009_a.sql", sql + ";\n"), [what])

    def test_what_is_allowed(self):
        for sql in self.allowed:
            with self.subTest(sql):
                self.assertEqual(faults("0009_a.sql", sql + ";\n"), [])

    def test_what_only_locks_needs_a_reason(self):
        sql = "drop index todo.a;"
        self.assertEqual(faults("0009_a.sql", "-- expand-only: the table is small\n" + sql), [])
        self.assertEqual(faults("0009_a.sql", "-- expand-only:\n" + sql), ["drops an index"])
        self.assertEqual(faults("0009_a.sql", "-- expand-only: for this\nselect 1;\n" + sql),
                         ["drops an index"])

    def test_what_takes_away_needs_a_reason_and_a_name(self):
        sql = "alter table todo.tasks drop column a;"
        marked = "-- expand-only: nobody has read it since 0008\n" + sql
        self.assertEqual(faults("0010_contract_0009_a.sql", marked), [])
        self.assertEqual(faults("0010_contract_0009_a.sql", sql), ["drops"])
        self.assertEqual(faults("0010_a.sql", marked),
                         ["drops, in a file whose name has no contract"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
