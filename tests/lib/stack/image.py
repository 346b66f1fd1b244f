"""Container images without an engine: buildah makes them (its layers stay in the cache, so that only
what changed is made again), and namespaces of our own run what is in them."""

import contextlib
import json
import os
import shlex
import subprocess
import sys

from todo_server import Server

from .process import HERE, TESTS, part, program

ROOT = os.path.dirname(TESTS)
BASE = "localhost/debian:12-slim"


def as_root():
    """Goes on as root: of the machine, or of a user namespace, which the caller's program is started
    again in. Without either it ends and says what it needs."""
    if os.geteuid() != 0:
        words = [program("buildah", "buildah"), "unshare"]
        if subprocess.run([*words, "true"], check=False).returncode:
            raise SystemExit(
                "an image needs many user ids: be root, or have newuidmap (apt-get install uidmap), a "
                "range of your own in /etc/subuid and /etc/subgid, and a kernel that allows user "
                "namespaces")
        os.execvp(words[0], [*words, sys.executable, *sys.argv])
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        raise SystemExit("root may not make mount namespaces here: it needs CAP_SYS_ADMIN")


def buildah(*words, **kwargs):
    """What it printed. What it mounted is forgotten by a restart of the machine, so the notes of that
    are one boot's."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        boot = f.read().strip()
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    store = os.path.join(cache, "todo-app", "images")
    done = subprocess.run(
        [program("buildah", "buildah"), "--root", f"{store}/layers", "--runroot", f"{store}/{boot}",
         *words], check=False, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "BUILDAH_ISOLATION": "chroot"}, **kwargs)
    if done.returncode:
        raise RuntimeError(f"buildah {words[0]}:\n{(done.stdout + done.stderr)[-8000:]}")
    return done.stdout.strip()


def build(dockerfile, tag, context=ROOT, **arguments):
    """Builds on the base that part.sh made, and gives the image's name."""
    import_base()
    words = [w for k, v in arguments.items() for w in ("--build-arg", f"{k}={v}")]
    buildah("build", "--quiet", "--layers", "--format", "docker", "--pull-never", "--build-arg",
            f"BASE={BASE}", *words, "-f", dockerfile, "-t", f"localhost/{tag}", context)
    return f"localhost/{tag}"


def import_base():
    tar = part("debian")
    made_of = os.path.basename(os.path.dirname(tar))
    with contextlib.suppress(RuntimeError):
        found = json.loads(buildah("inspect", "--type", "image", BASE))
        if (found["Docker"]["config"]["Labels"] or {}).get("made-of") == made_of:
            return
    container = buildah("from", "scratch")
    try:
        buildah("add", "--quiet", container, tar, "/")
        buildah("config", "--label", f"made-of={made_of}", container)
        buildah("commit", "--quiet", "--format", "docker", container, BASE)
    finally:
        buildah("rm", container)


class Container:
    """A root of its own made from an image: `path` is where it is, `config` the image's."""

    def __init__(self, image):
        self.name = buildah("from", "--pull-never", image)
        self.path = buildah("mount", self.name)
        self.config = json.loads(buildah("inspect", self.name))["Docker"]["config"]

    def close(self):
        buildah("rm", self.name)

    def command(self, words, env=None, user="0:0", binds=(), writable=()):
        """The words that run `words` inside, alone with its files, with no way to more rights. All
        is read-only but /tmp, /run and what `writable` names (`None`: everything). `binds`: folders
        of the machine that are seen inside under /run/NAME, by name."""
        spec = {"root": self.path, "words": list(words), "env": env or {}, "user": user,
                "binds": dict(binds), "writable": None if writable is None else list(writable)}
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", sys.executable,
                os.path.join(HERE, "inside.py"), json.dumps(spec)]

    def run(self, *words, check=True, **kwargs):
        return subprocess.run(self.command(words, **kwargs), check=check, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True)


class ContainerServer(Server):
    """A program of ours inside a container, as process 1 there, on a free port of loopback."""

    def __init__(self, container, words, env, **kwargs):
        self.script = os.path.join(container.path, "run", f"start-{os.path.basename(words[0])}")
        command = container.command(words, env={**env, "HTTP_PORT": "0"}, **kwargs)
        with open(self.script, "w", encoding="utf-8") as f:
            f.write(f"#!/bin/sh\nexec {shlex.join(command)}\n")
        os.chmod(self.script, 0o700)
        super().__init__(None, binary=self.script)

    def pid(self):
        """Of the program, as the machine counts."""
        pid = self.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return int(f.read().split()[0])

    def stop(self):
        os.kill(self.pid(), 15)  # what started it lets signals pass by
        super().stop()
