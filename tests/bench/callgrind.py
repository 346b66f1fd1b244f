"""A program of ours under callgrind: the instructions that it spends between two moments."""

import os
import re
import shutil
import subprocess
import tempfile

OWN = "the program"


class Callgrind:
    """`wrapper` is what to start in the program's place. Counting begins with `zero`; `count` gives
    what was spent since then, by object file, and begins anew."""

    def __init__(self, program):
        self.program = os.path.realpath(program)
        self.dumps = 0
        self.folder = tempfile.TemporaryDirectory(prefix="todo-callgrind-")
        self.wrapper = f"{self.folder.name}/run"
        with open(self.wrapper, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\nexec valgrind -q --tool=callgrind --vgdb=yes "
                    f"--vgdb-prefix={self.folder.name}/vgdb "
                    f'--callgrind-out-file={self.folder.name}/out {self.program} "$@"\n')
        os.chmod(self.wrapper, 0o755)

    def tell(self, pid, *command):
        subprocess.run(["vgdb", f"--vgdb-prefix={self.folder.name}/vgdb", f"--pid={pid}", "-c",
                        *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def zero(self, pid):
        self.tell(pid, "zero")

    def count(self, pid, keep=None):
        """Self cost by object file; the dump is moved to `keep`, for callgrind_annotate."""
        self.tell(pid, "dump")
        self.dumps += 1
        path = f"{self.folder.name}/out.{self.dumps}"
        spent = by_object(path)
        if keep:
            shutil.move(path, keep)
        return spent

    def close(self):
        self.folder.cleanup()


def by_object(path):
    """Of a dump: a name is written out where its number comes first, be it as the one called."""
    names, spent, name, is_of_called = {}, {}, None, False
    with open(path, encoding="utf-8") as f:
        for line in f:
            if found := re.match(r"(c?)ob=(\(\d+\))(?: (.*))?", line):
                is_called, number, text = found.groups()
                names.setdefault(number, os.path.basename(text or ""))
                name = name if is_called else names[number]
            elif line.startswith("calls="):
                is_of_called = True  # the next line is what the called one cost
            elif re.match(r"[0-9+*-]", line):
                if not is_of_called:
                    spent[name] = spent.get(name, 0) + int(line.split()[-1])
                is_of_called = False
    return spent
