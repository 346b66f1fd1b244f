"""Runs the command blocks of a document, in their order and in one shell, against what the document's
test has started. A block's kind stands behind its fence:

    sh           commands
    sh cluster   commands that need a cluster: kubectl, helm, k8s/scripts without --local
    text         behind a block of commands: lines that it prints; … stands for anything
    yaml         a file that later commands use; its first line is `# ` and the name

Any other kind, a block that leaves the shell with an error and a line that is not printed fail."""

import contextlib
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMMANDS = ("sh", "sh cluster")
IN_CLUSTER = re.compile(r"\b(kubectl|helm)\b|^k8s/scripts/(?!.* --local)", re.M)


class BlockError(Exception):
    """The document is at fault, or what it says is not so."""


class Block:
    def __init__(self, kind, heading, line, text):
        self.kind, self.heading, self.line, self.text = kind, heading, line, text
        self.expected = []  # lines that its output has

    def __str__(self):
        return f"line {self.line} ({self.heading}): {self.kind}\n{self.text}"


def read_blocks(text):
    """The blocks of a document. A `text` becomes what the block before it is expected to print."""
    blocks, heading, inside = [], "", None
    for number, line in enumerate(text.splitlines(), 1):
        if inside is not None and line == "```":
            blocks.append(Block(*inside[:3], "".join(f"{x}\n" for x in inside[3:])))
            inside = None
        elif inside is not None:
            inside.append(line)
        elif line.lstrip().startswith(("```", "~~~")):
            if not line.startswith("```"):
                raise BlockError(f"line {number}: a fence begins its line with ```")
            inside = [line[3:].strip(), heading, number]
        elif line.startswith("#"):
            heading = line.lstrip("#").strip()
    if inside is not None:
        raise BlockError(f"line {inside[2]}: a fence without an end")
    return _checked(blocks)


def _checked(blocks):
    done = []
    for block in blocks:
        if block.kind == "text":
            if not done or done[-1].kind not in COMMANDS or done[-1].expected:
                raise BlockError(f"nothing prints this: {block}")
            done[-1].expected = block.text.splitlines()
            continue
        if block.kind in COMMANDS:
            code = re.sub(r"#.*", "", block.text)
            if bool(IN_CLUSTER.search(code)) != (block.kind == "sh cluster"):
                raise BlockError(f"`cluster` is for what needs a cluster, and for that alone: {block}")
        elif block.kind != "yaml":
            raise BlockError(f"no kind of block that is known: {block}")
        done.append(block)
    for i, block in enumerate(done):
        if block.kind == "yaml" and not any(file_name(block) in b.text for b in done[i + 1:]
                                            if b.kind in COMMANDS):
            raise BlockError(f"no later block uses this file: {block}")
    return done


def file_name(block):
    found = re.match(r"# ([\w.-]+\.yaml)\b", block.text)
    if not found:
        raise BlockError(f"the first line does not name the file: {block}")
    return found[1]


def missing_line(expected, output):
    """The first expected line that the output lacks, in the order expected; None: it has all."""
    lines = iter(line.strip() for line in output.splitlines())
    for wanted in expected:
        pattern = ".*".join(map(re.escape, wanted.strip().split("…")))
        if not any(re.fullmatch(pattern, line) for line in lines):
            return wanted
    return None


class Shell:
    """One bash for a document, in a folder of its own where `todo` and `k8s` are this checkout's."""

    def __init__(self, programs=None, env=None):
        """`programs`: {name: path}"""
        self.folder = tempfile.mkdtemp(prefix="todo-docs-")
        for name in ("todo", "k8s"):
            os.symlink(ROOT / name, os.path.join(self.folder, name))
        self.programs = os.path.join(self.folder, "bin")
        os.mkdir(self.programs)
        for name, path in (programs or {}).items():
            os.symlink(path, os.path.join(self.programs, name))
        env = {**os.environ, "HOME": self.folder, **(env or {})}
        env["PATH"] = f"{self.programs}:{env['PATH']}"
        ours, theirs = os.pipe()
        self.done = ours
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "bash", "-c",
             "set -euo pipefail; umask 000; while read -r __block; do . \"$__block\""
             f" >\"$__block.out\" 2>&1 </dev/null {theirs}>&-; echo >&{theirs}; done"],
            cwd=self.folder, env=env, stdin=subprocess.PIPE, pass_fds=[theirs], text=True,
            start_new_session=True)
        os.close(theirs)

    def run(self, block, seconds):
        """What the block printed."""
        path = os.path.join(self.folder, f"block-{block.line}")
        with open(path, "w", encoding="utf-8") as f:
            f.write(block.text)
        self.process.stdin.write(path + "\n")
        self.process.stdin.flush()
        is_over = select.select([self.done], [], [], seconds)[0]
        # Nothing to read: the shell ended, and so did its end of the pipe.
        is_good = bool(is_over and os.read(self.done, 1))
        with open(path + ".out", encoding="utf-8", errors="replace") as f:
            output = f.read()
        if not is_good:
            how = "failed" if is_over else f"did not end within {seconds} s"
            raise BlockError(f"{how}: {block}\nprinted:\n{output}")
        return output

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdin.close()
        os.close(self.done)
        shutil.rmtree(self.folder, ignore_errors=True)


def run_document(name, shell, hooks=None, seconds=120):
    """`hooks`: what happens in the world before the first block below a heading: {heading: function}.
    `seconds`: for one block."""
    blocks = read_blocks((ROOT / "docs" / name).read_text("utf-8"))
    hooks = hooks or {}
    if unknown := set(hooks) - {b.heading for b in blocks}:
        raise BlockError(f"{name}: no block below {unknown}")
    heading = None
    for block in blocks:
        if block.heading != heading and block.heading in hooks:
            hooks[block.heading]()
        heading = block.heading
        if block.kind == "yaml":
            with open(os.path.join(shell.folder, file_name(block)), "w", encoding="utf-8") as f:
                f.write(block.text)
            continue
        began = time.monotonic()
        output = shell.run(block, seconds)
        print(f"{name}:{block.line}: {time.monotonic() - began:.1f} s", flush=True)
        if missing := missing_line(block.expected, output):
            raise BlockError(f"{name}: \"{missing}\" is not printed by {block}\nprinted:\n{output}")
