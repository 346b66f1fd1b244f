"""docs/settings.md shows what the program itself says. `--write` brings it up to date."""

import difflib
import os
import pathlib
import re
import subprocess
import sys

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "settings.md"


def main():
    said = subprocess.run([os.environ["TODO_MCP"], "--help"], check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    before = DOCUMENT.read_text(encoding="utf-8")
    after = re.sub(r"```text\n.*?```\n", lambda _: f"```text\n{said}```\n", before, flags=re.S)
    if "--write" in sys.argv:
        DOCUMENT.write_text(after, encoding="utf-8")
    elif before != after or said not in before:
        sys.stdout.writelines(difflib.unified_diff(
            before.splitlines(True), after.splitlines(True), "docs/settings.md", "--help"))
        sys.exit("docs/settings.md is stale: ./todo docs")


if __name__ == "__main__":
    main()
