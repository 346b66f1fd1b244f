#!/usr/bin/env python3
"""docs/security.md names tests as proof: each of them is there. And the Debian packages on this
machine are no older than the ones that the document was written with.

TODO_BUILD names the folder of the build that runs."""

import ast
import functools
import json
import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
DOCUMENT = os.path.join(ROOT, "docs/security.md")
PROOF = re.compile(r"`(\w+)/(\w+)`")
LIST_CASES = """
import os, sys, unittest
folder, name = os.path.split(sys.argv[1])
sys.path.insert(0, folder)
def walk(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from walk(test)
        else:
            yield test.id().split(".")[-1]
print(*walk(unittest.defaultTestLoader.loadTestsFromName(name[:-3])), sep="\\n")
"""


def rows(heading):
    """The cells of each row of the tables below a heading, to the next heading of its level."""
    with open(DOCUMENT, encoding="utf-8") as f:
        text = f.read()
    level = heading.split(" ")[0]
    section = text.split(f"\n{heading}\n", 1)[1].split(f"\n{level} ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row, below in zip(cells, cells[1:] + [[""]])
            if not set(row[0]) <= {"-"} and not set(below[0]) == {"-"}]


@functools.lru_cache
def commands():
    said = subprocess.run(("ctest", "--test-dir", os.environ["TODO_BUILD"], "--show-only=json-v1"),
                          check=True, capture_output=True, text=True).stdout
    return {test["name"]: test["command"] for test in json.loads(said)["tests"]}


def written_cases(path):
    """Those that stand in a Python file; others are made of its tables."""
    with open(path, encoding="utf-8") as f:
        tree = ast.parse(f.read())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@functools.lru_cache
def made_cases(path):
    return set(subprocess.run((sys.executable, "-c", LIST_CASES, path), check=True,
                              capture_output=True, text=True).stdout.split())


def has_case(command, case):
    scripts = [word for word in command if word.endswith(".py")]
    if scripts:
        return case in written_cases(scripts[0]) or case in made_cases(scripts[0])
    with open(command[0], "rb") as f:  # cmocka keeps the names of its cases
        return b"\0" + case.encode() + b"\0" in f.read()


class Document(unittest.TestCase):
    def test_each_proof_is_a_test(self):
        points = [row for heading in ("## Points of the MCP specification",
                                      "## Points of OWASP's ASVS 5.0")
                  for row in rows(heading)]
        self.assertGreater(len(points), 40)
        for row in points:
            with self.subTest(row[0]):
                self.assertEqual(len(row), 4, row)
                proofs = PROOF.findall(row[2])
                self.assertTrue(proofs or row[2].startswith("none: "), row)
                for test, case in proofs:
                    self.assertIn(test, commands())
                    self.assertTrue(has_case(commands()[test], case), f"{test}/{case}")

    def test_a_name_that_is_none_would_be_seen(self):
        for test in ("hostile", "test_mcp_auth_token", "auth"):
            self.assertFalse(has_case(commands()[test], "test_of_nothing"))


class Dependencies(unittest.TestCase):
    """Debian mends a stable release's packages under the same version; so these have a floor."""

    def test_no_package_is_older_than_the_document_knows(self):
        packages = rows("### In the programs")
        self.assertGreater(len(packages), 8)
        for name, floor, *_ in packages:
            with self.subTest(name):
                installed = subprocess.run(("dpkg-query", "-W", "-f", "${Version}", name.strip("`")),
                                           check=True, capture_output=True, text=True).stdout
                done = subprocess.run(("dpkg", "--compare-versions", installed, "ge", floor),
                                      check=False)
                self.assertEqual(done.returncode, 0, f"{name} {installed} is older than {floor}: "
                                 "apt-get update && apt-get upgrade")

    def test_every_library_that_is_linked_is_in_the_list(self):
        with open(os.path.join(ROOT, "cmake/packages.cmake"), encoding="utf-8") as f:
            found = re.findall(r"pkg_check_modules\(\w+ \w+ IMPORTED_TARGET (?:lib)?(\w+)\)",
                               f.read())
        self.assertGreater(len(found), 6)
        listed = " ".join(row[0] for row in rows("### In the programs"))
        alias = {"crypto": "ssl", "curl": "curl4"}
        for library in found:
            self.assertIn(alias.get(library, library), listed)


if __name__ == "__main__":
    unittest.main()
