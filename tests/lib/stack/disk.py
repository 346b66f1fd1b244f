"""A disk of one's own, small enough to be filled: a tmpfs, in a mount namespace of our own (alone.py)."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading


class Disk:
    def __init__(self, megabytes):
        self.folder = tempfile.mkdtemp(prefix="todo-disk-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "todo-disk",
                        self.folder], check=True)
        self.filler = os.path.join(self.folder, "filler")
        self.freed = threading.Event()
        self.thread = None

    def free_bytes(self):
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    def _keep_full(self):
        """What others give back is taken too."""
        with open(self.filler, "wb") as f:
            while not self.freed.wait(0.02):
                with contextlib.suppress(OSError):
                    if free := self.free_bytes():
                        os.posix_fallocate(f.fileno(), os.fstat(f.fileno()).st_size, free)

    def fill(self):
        self.freed.clear()
        self.thread = threading.Thread(target=self._keep_full, daemon=True)
        self.thread.start()

    def free(self):
        self.freed.set()
        self.thread.join()
        os.unlink(self.filler)

    def close(self):
        subprocess.run(["umount", "--lazy", self.folder], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
