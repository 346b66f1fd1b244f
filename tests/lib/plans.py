"""The plans that the program's sessions have for its statements, and what is wrong with them.
TODO_STATEMENTS names the program that prints the SQL."""

import functools
import json
import os
import re
import subprocess

# Statements of the command line that are meant to read all.
WHOLE = {"api_key_list"}
# These tables have a row or a few, whatever happens.
SMALL = {"relay", "schema_migrations"}
# Indexes of what waits, which whoever works on it keeps short: their whole is no table's.
WAITING = {"outbox_parked", "dead_letters_unpublished"}
INDEX_SCANS = {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}


def statements(*args):
    """What the program prints: see tests/support/statements.c."""
    path = os.environ.get("TODO_STATEMENTS")
    if not path:
        raise SystemExit("TODO_STATEMENTS must name the program that prints the SQL")
    return subprocess.run([path, *args], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@functools.cache
def all_statements():
    return dict(line.split("\t", 1) for line in statements().splitlines())


def nodes(plan, is_cut=False):
    """Each node, and whether a limit above it ends it early."""
    yield plan, is_cut
    is_cut = is_cut or plan["Node Type"] == "Limit"
    for child in plan.get("Plans", []):
        yield from nodes(child, is_cut)


def plans(postgres, names=None):
    """Of each statement by its name: as the program's sessions plan it, for no particular values."""
    wanted = {name: sql for name, sql in all_statements().items() if not names or name in names}
    script = ""
    for name, sql in wanted.items():
        count = max((int(number) for number in re.findall(r"\$(\d+)", sql)), default=0)
        nulls = f"({', '.join(['null'] * count)})" if count else ""
        script += (f"prepare p as {sql};\n\\echo NEXT {name}\n"
                   f"explain (format json) execute p{nulls};\ndeallocate p;\n")
    out = subprocess.run(["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d", postgres.url,
                          "-f", "-"], check=True, input=script, stdout=subprocess.PIPE, text=True,
                         env={**os.environ, "PGOPTIONS": statements("-o")}).stdout
    found = re.findall(r"^NEXT (\S+)\n(.*?)(?=^NEXT |\Z)", out, re.MULTILINE | re.DOTALL)
    return {name: json.loads(text)[0]["Plan"] for name, text in found}


def table_of(index):
    """By our names; a scan of a bitmap's index does not say it."""
    return index.split("_")[0]


def reads_whole(plan):
    """The tables that the plan reads from end to end: by no index, or by an index with nothing to
    look for and no limit to end it. (An index scan of a sort's order does not look for anything.)"""
    for node, is_cut in nodes(plan):
        kind = node["Node Type"]
        table = node.get("Relation Name", table_of(node.get("Index Name", "")))
        if kind == "Seq Scan" and table not in SMALL:
            yield f"{table}: sequential scan"
        elif (kind in INDEX_SCANS and "Index Cond" not in node and not is_cut
              and table not in SMALL and node["Index Name"] not in WAITING):
            yield f"{table}: the whole of {node['Index Name']}"


def wrong(postgres, filled=None):
    """(how many statements were looked at, what is wrong by their names). `filled`: the only tables with
    rows; of an empty one an index may well be read from end to end."""
    found = {name: [fault for fault in reads_whole(plan)
                    if not filled or "sequential" in fault or fault.split(":")[0] in filled]
             for name, plan in plans(postgres).items() if name not in WHOLE}
    return len(found), {name: faults for name, faults in found.items() if faults}
