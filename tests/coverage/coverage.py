#!/usr/bin/env python3
"""What the tests since the last --zero ran of our code, by folder: its lines, and those that ran.

    coverage.py build/asan --zero             forgets what ran
    coverage.py build/asan                    prints the table
    coverage.py build/asan --gate             and fails where a folder that has a goal is below it
    coverage.py build/asan --missing mcp/     and the lines of these files that did not run

A program that is killed with -9 leaves no trace of what it ran."""

import argparse
import collections
import itertools
import json
import os
import pathlib
import subprocess
import sys

GOALS = {"mcp": 90, "events": 90, "dapr": 90, "tools": 90, "base": None, "db": None, "apps": None}
ROOT = pathlib.Path(__file__).resolve().parents[2]


def lines_of(build, folder):
    """{file: {line: did it run}}"""
    files = collections.defaultdict(lambda: collections.defaultdict(bool))
    notes = sorted(str(path) for path in (build / folder).rglob("*.gcno"))
    if not notes:
        raise SystemExit(f"{build}/{folder} is not built for coverage")
    done = subprocess.run(["gcov", "--json-format", "--stdout", *notes], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)  # when all is well: the files of which nothing ran
    for unit in map(json.loads, done.stdout.splitlines()):
        for file in unit["files"]:
            path = os.path.join(unit["current_working_directory"], file["file"])
            path = os.path.relpath(path, ROOT)
            if path.startswith(f"{folder}/"):
                for line in file["lines"]:
                    files[path][line["line_number"]] |= line["count"] > 0
    return files


def ranges(numbers):
    """"3, 7-9" """
    runs = itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])
    spans = [[number for _, number in run] for _, run in runs]
    return ", ".join(str(s[0]) if len(s) == 1 else f"{s[0]}-{s[-1]}" for s in spans)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--zero", action="store_true")
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--missing", metavar="PATH", action="append", default=[])
    asked = parser.parse_args()
    build = asked.build.resolve()
    if asked.zero:
        for data in build.rglob("*.gcda"):
            data.unlink()
        return 0
    low = []
    print(f"{'folder':8}{'lines':>8}{'ran':>8}{'%':>8}{'goal':>8}")
    for folder, goal in GOALS.items():
        files = lines_of(build, folder)
        total = sum(map(len, files.values()))
        ran = sum(sum(lines.values()) for lines in files.values())
        percent = 100 * ran / total
        print(f"{folder:8}{total:8}{ran:8}{percent:8.1f}{goal or '-':>8}")
        if goal and percent < goal:
            low.append(folder)
        for path, lines in sorted(files.items()):
            missing = [number for number, did_run in lines.items() if not did_run]
            if missing and any(path.startswith(start) for start in asked.missing):
                print(f"    {path}: {ranges(missing)}")
    if asked.gate and low:
        print(f"below its goal: {', '.join(low)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
