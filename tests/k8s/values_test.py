#!/usr/bin/env python3
"""The values of the chart: each has its default in values.yaml, its rule and its description in
values.schema.json and its line in README.md, and a wrong one is refused by name. --write makes the
table of README.md anew."""

import json
import re
import sys
import tempfile
import unittest

from chart import CHART, VALUES, helm, parse

README = f"{CHART}/README.md"
BEGIN, END = "<!-- values -->\n", "<!-- end of values -->\n"


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class Schema:
    def __init__(self):
        self.root = json.loads(read(f"{CHART}/values.schema.json"))

    def of(self, node):
        """A node and what it refers to, in one."""
        if "$ref" in node:
            return self.root["definitions"][node["$ref"].rpartition("/")[2]] | node
        return node

    def leaves(self, node=None, path=()):
        """(path, rule) of each value."""
        node = self.of(node or self.root)
        if "properties" not in node:
            yield path, node
        for name, inner in node.get("properties", {}).items():
            yield from self.leaves(inner, (*path, name))


def at(values, path):
    """The value there, or None."""
    for name in path:
        values = values.get(name) if isinstance(values, dict) else None
    return values


def wrong_for(rule):
    if "enum" in rule:
        return "no such"
    return {"boolean": "maybe", "integer": "many", "object": "text", "array": "text"}.get(
        rule.get("type"), 7.5)


def table():
    """A line for each value; those of the four components share theirs."""
    values, lines = parse(read(f"{CHART}/values.yaml"))[0], {}
    for path, rule in Schema().leaves():
        default = at(values, path)
        if default is None:
            continue
        name = re.sub(r"^components\.\w+", "components.*", ".".join(path))
        text = json.dumps(default, ensure_ascii=False).replace("|", "\\|")
        lines.setdefault(name, (rule["description"], []))[1].append(text)
    yield "| value | default | what it does |\n| --- | --- | --- |\n"
    for name, (description, defaults) in lines.items():
        shown = ", ".join(f"`{d}`" for d in dict.fromkeys(defaults))
        yield f"| `{name}` | {shown} | {description} |\n"


def with_table(text):
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + "".join(table()) + "\n" + END + rest.partition(END)[2]


class Values(unittest.TestCase):
    def test_the_table_is_up_to_date(self):
        text = read(README)
        self.assertEqual(text, with_table(text), "run ./todo docs")

    def test_each_value_has_a_default_a_rule_and_a_description(self):
        values = parse(read(f"{CHART}/values.yaml"))[0]
        for path, rule in Schema().leaves():
            with self.subTest(".".join(path)):
                self.assertTrue(rule.get("description"))
                self.assertTrue({"type", "enum", "anyOf"} & set(rule))
                if path[0] != "global" and path[-1] != "topic":
                    self.assertIsNotNone(at(values, path))

    def test_nothing_else_is_taken(self):
        def closed(node, path):
            node = schema.of(node)
            if "properties" in node:
                self.assertIs(node.get("additionalProperties"), False, path)
            for name, inner in node.get("properties", {}).items():
                closed(inner, f"{path}.{name}")
        schema = Schema()
        closed(schema.root, "")

    def test_each_wrong_value_is_refused_by_name(self):
        wrong = {}
        paths = [(path, rule) for path, rule in Schema().leaves() if path[0] != "global"]
        for path, rule in paths:
            inner = wrong
            for name in path[:-1]:
                inner = inner.setdefault(name, {})
            inner[path[-1]] = wrong_for(rule)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            json.dump(wrong, f)
            f.flush()
            done = helm("template", "t", CHART, "--kube-version", "1.34.1", "--values", f.name)
        self.assertNotEqual(done.returncode, 0)
        refused = set(re.findall(r"at '/([^']*)':", done.stderr))
        self.assertEqual({"/".join(path) for path, _ in paths} - refused, set())

    def test_the_examples_set_nothing_to_what_it_is_anyway(self):
        defaults = parse(read(f"{CHART}/values.yaml"))[0]
        for name in VALUES[1:]:
            values = parse(read(f"{CHART}/{name}"))[0]
            for section in values:
                self.assertNotEqual(values[section], defaults[section], f"{name}: {section}")


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        made = with_table(read(README))
        with open(README, "w", encoding="utf-8") as out:
            out.write(made)
    else:
        unittest.main()
