"""What each part of the stack has in common: its own folder, ports that stay the same over a
restart, a log, and an end that comes even when the test is killed."""

import atexit
import concurrent.futures
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile

from todo_server import is_alive, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(os.path.dirname(HERE))
STACK = os.path.join(TESTS, "stack")
# The parent's death signal comes when the thread that forked ends, so one that lives as long as the
# interpreter forks for all.
_forker = concurrent.futures.ThreadPoolExecutor(1)
_claims = []
_running = set()


def part(name):
    """Where part.sh has put a part; the test ends with its message where it is missing."""
    made = subprocess.run(["bash", f"{STACK}/part.sh", "--there", name], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if made.returncode:
        raise SystemExit(made.stderr.strip())
    return made.stdout.strip()


def program(name, package):
    """The path of a program that Debian has."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not path:
        raise SystemExit(f"{name} is missing: apt-get install {package}")
    return path


def free_port():
    """A loopback port below those that the kernel gives to outgoing connections, so that a part finds
    it free when it comes back. An abstract socket's name keeps it from other tests while we live."""
    while True:
        port = random.SystemRandom().randrange(10240, 32000)
        claim = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError), socket.socket() as s:
            claim.bind(f"\0todo-port-{port}")
            s.bind(("127.0.0.1", port))
            _claims.append(claim)
            return port
        claim.close()


def is_open(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def reload_of(process, words):
    """SIGHUP, and all that follows up to these words in its log."""
    before = process.log_tail(1 << 30).count(words)
    os.kill(process.pid, signal.SIGHUP)
    wait_for(lambda: process.log_tail(1 << 30).count(words) > before, 30, f"{process.name}: {words}")


def birth(pid):
    """When the process with this number was started, in the kernel's ticks."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return int(f.read().rsplit(")", 1)[1].split()[19])
    return None


class Process:
    """A program on loopback. A subclass sets `name`, gives its `ports` and says `command` and
    `is_ready`. With `folder` its data and log are there and stay; else they go with `close`.
    `detached`: it outlives us (./todo stack up). `state` is what a later process needs to see to
    it again: Class(..., **state)."""

    name = "part"
    port_names = ()
    start_seconds = 60

    def __init__(self, folder=None, detached=False, ports=None, pid=None, born=None):
        self.is_own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix=f"todo-{self.name}-")
        os.makedirs(self.folder, exist_ok=True)
        self.detached = detached
        self.ports = {name: free_port() for name in self.port_names} | (ports or {})
        self.port = self.ports[self.port_names[0]] if self.port_names else None
        self.log = os.path.join(self.folder, "log")
        self.process = None
        # The number may be another's by now.
        self.pid = pid if pid and birth(pid) == born else None
        self.env = {}
        self.group = None

    def set_group(self, number):
        """From its next start on; for root only. What it sends can then be told from what others do."""
        self.group = number

    def command(self):
        raise NotImplementedError

    def is_ready(self):
        return is_open(self.port)

    @property
    def state(self):
        return {"folder": self.folder, "ports": self.ports, "pid": self.pid,
                "born": birth(self.pid) if self.pid else None}

    def start(self, wait=True):
        assert not self.is_running(), f"{self.name} runs already"
        words = self.command()
        if not self.detached:
            group = [f"--regid={self.group}", "--clear-groups"] if self.group else []
            words = ["setpriv", "--pdeathsig", "KILL", *group, "--", *words]
        with open(self.log, "ab") as log:
            self.process = _forker.submit(
                subprocess.Popen, words, cwd=self.folder, env={**os.environ, **self.env},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True).result()
        self.pid = self.process.pid
        if not self.detached:
            _running.add(self)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        wait_for(self._ready_or_dead, self.start_seconds, self.name)

    def _ready_or_dead(self):
        if not self.is_running():
            raise RuntimeError(f"{self.name} did not start:\n{self.log_tail()}")
        return self.is_ready()

    def log_tail(self, size=4000):
        with contextlib.suppress(OSError), open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()[-size:]
        return ""

    def is_running(self):
        if self.process:
            return self.process.poll() is None
        return bool(self.pid) and is_alive(self.pid)

    def _end(self, number, seconds):
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGCONT)
                os.killpg(self.pid, number)
            if self.process:
                self.process.wait(seconds)
            else:
                wait_for(lambda: not is_alive(self.pid), seconds, f"the end of {self.name}")
        self.process = self.pid = None
        _running.discard(self)

    def stop(self, seconds=30):
        """The orderly way; what does not end in time is killed."""
        try:
            self._end(signal.SIGTERM, seconds)
        except (subprocess.TimeoutExpired, TimeoutError):
            self._end(signal.SIGKILL, 10)

    def kill(self):
        self._end(signal.SIGKILL, 10)

    def restart(self, wait=True):
        self.stop()
        return self.start(wait)

    def pause(self):
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self):
        os.killpg(self.pid, signal.SIGCONT)

    def close(self):
        self.stop(10)
        if self.is_own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        if not self.is_running():
            self.start()
        return self

    def __exit__(self, *_):
        self.close()


@atexit.register
def _stop_all():
    for process in list(_running):
        with contextlib.suppress(Exception):
            process.kill()
            process.close()
