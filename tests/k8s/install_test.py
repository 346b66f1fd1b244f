#!/usr/bin/env python3
"""The Debian package on a Debian that has its dependencies and nothing else: what its units start
answers, a newer version keeps the settings, and purging it leaves nothing behind.

systemd is not there to start the units, so this does what they say: their command as their user, with
their environment and its file, and a root that is read-only but for their state. TODO_RELEASE names
the release build's folder; it needs root, or what as_root() names."""

import contextlib
import glob
import os
import re
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import todo_server  # noqa: E402
from package_test import PROGRAMS, build_package, run  # noqa: E402
from stack import PostgresServer  # noqa: E402
from stack.image import Container, ContainerServer, as_root, build  # noqa: E402

SETTINGS, STATE = "/etc/todo/todo.env", "/var/lib/todo-app"
UNITS = "/usr/lib/systemd/system"
RECIPE = """ARG BASE
FROM ${BASE}
RUN apt-get update -q && apt-get install -qy --no-install-recommends %s
"""
DATABASE = "DATABASE_URL=postgresql:///postgres?host=/run/postgresql&user=postgres\nMAILDIR=/tmp/mail\n"
# What dpkg and adduser write about their own work.
NOTES = re.compile(r"^/(var/(log|lib/dpkg|cache)|proc|run|tmp)/|^/etc/(passwd|group|g?shadow)-$")


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="todo-deb-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.deb = shutil.copy(build_package(), f"{cls.folder}/todo-app.deb")
        depends = run("dpkg-deb", "-f", cls.deb, "Depends")
        names = sorted(re.split(r"[ :(|]", d.strip())[0] for d in depends.split(","))
        recipe = f"{cls.folder}/Dockerfile"
        with open(recipe, "w", encoding="utf-8") as f:
            f.write(RECIPE % " ".join(names))
        cls.image = build(recipe, "todo-app-depends", context=cls.folder)

    def setUp(self):
        self.container = Container(self.image)
        self.addCleanup(self.container.close)

    def inside(self, *words, **kwargs):
        done = self.container.run(*words, writable=None, binds={"deb": self.folder}, check=False, env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}, **kwargs)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def install(self, name="todo-app.deb"):
        return self.inside("dpkg", "-i", f"/run/deb/{name}")

    def path(self, inside):
        return self.container.path + inside

    def read(self, inside):
        with open(self.path(inside), encoding="utf-8") as f:
            return f.read()

    def write(self, inside, text):
        with open(self.path(inside), "w", encoding="utf-8") as f:
            f.write(text)

    def id_of(self, user):
        """"uid:gid", by the root's own list."""
        return re.search(rf"^{user}:[^:]*:(\d+:\d+):", self.read("/etc/passwd"), re.M)[1]

    def everything(self):
        """Each file there is, with its kind, rights and owner."""
        found = self.inside("find", "/", "-xdev", "-printf", "%p %M %U:%G\n").splitlines()
        return {line for line in found if not NOTES.search(line.split(" ")[0])}

    # ---- the units --------------------------------------------------------------------------

    def unit(self, name):
        """Key → values, in the order of the file."""
        found = {}
        for key, value in re.findall(r"^(\w+)=(.*)$", self.read(f"{UNITS}/{name}.service"), re.M):
            found.setdefault(key, []).append(value)
        return found

    def start_as(self, unit, postgres):
        """Does what systemd would do for this unit."""
        user = unit["User"][0]
        ids = self.id_of(user)
        state = "/var/lib/" + unit["StateDirectory"][0]
        os.makedirs(self.path(state), exist_ok=True)
        os.chown(self.path(state), *map(int, ids.split(":")))
        os.chmod(self.path(state), int(unit["StateDirectoryMode"][0], 8))
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "USER": user}
        lines = [w for value in unit["Environment"] for w in value.split()]
        for path in unit["EnvironmentFile"]:
            lines += [li for li in self.read(path.lstrip("-")).splitlines() if li and li[0] != "#"]
        env.update(line.split("=", 1) for line in lines)
        server = ContainerServer(self.container, unit["ExecStart"][0].split(), env, user=ids,
                                 binds={"postgresql": postgres.folder}, writable=[state])
        self.addCleanup(lambda: server.is_running() and server.kill())
        return server

    @staticmethod
    def is_ready(port):
        ask = b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n"
        return todo_server.exchange(port, ask).split()[1] == b"200"

    def test_what_its_units_start_answers(self):
        postgres = PostgresServer().start()
        self.addCleanup(postgres.close)
        os.chmod(postgres.folder, 0o711)
        self.install()
        self.write(SETTINGS, self.read(SETTINGS) + DATABASE)
        for name in PROGRAMS:
            unit = self.unit(name)
            self.assertEqual(unit["ProtectSystem"], ["strict"])
            server = self.start_as(unit, postgres)
            if name == "todo-mcp":
                with contextlib.closing(todo_server.Client(server.port)) as client:
                    task = client.call("add_task", title="by a unit")
                    self.assertEqual(client.call("get_task", task_id=task["id"])["title"],
                                     "by a unit")
            todo_server.wait_for(lambda: self.is_ready(server.port), 20, f"{name}'s readiness")
            server.stop()

    def test_systemd_understands_the_units(self):
        self.install()
        for path in glob.glob(f"{UNITS}/*.target") + glob.glob(f"{UNITS}/*.slice"):
            if not os.path.exists(self.path(path)):  # systemd's own, of the machine
                shutil.copy(path, self.path(path))
        for name in PROGRAMS:
            said = run("systemd-analyze", f"--root={self.container.path}", "--man=no", "verify",
                       f"{UNITS}/{name}.service")
            self.assertEqual(said, "")

    # ---- its life ---------------------------------------------------------------------------

    def test_a_newer_version_keeps_settings_state_and_user(self):
        self.install()
        before = self.id_of("todo-app")
        self.write(SETTINGS, "HTTP_PORT=8123\n")
        os.makedirs(self.path(STATE), exist_ok=True)
        self.write(f"{STATE}/kept", "a task")
        tree = f"{self.folder}/tree"
        run("dpkg-deb", "-R", self.deb, tree)
        control = f"{tree}/DEBIAN/control"
        with open(control, encoding="utf-8") as f:
            text = re.sub(r"^Version: (.*)$", r"Version: \1+next", f.read(), flags=re.M)
        with open(control, "w", encoding="utf-8") as f:
            f.write(text)
        run("dpkg-deb", "--root-owner-group", "-b", tree, f"{self.folder}/next.deb")
        self.assertIn("Unpacking", self.install("next.deb"))
        self.assertTrue(self.inside("dpkg-query", "-W", "-f", "${Version}", "todo-app")
                        .endswith("+next"))
        self.assertEqual(self.read(SETTINGS), "HTTP_PORT=8123\n")
        self.assertEqual(os.listdir(self.path(os.path.dirname(SETTINGS))), ["todo.env"])
        self.assertEqual(self.read(f"{STATE}/kept"), "a task")
        self.assertEqual(self.id_of("todo-app"), before)

    def test_the_settings_are_for_root_and_the_programs_alone(self):
        self.install()
        status = os.stat(self.path(SETTINGS))
        uid, gid = map(int, self.id_of("todo-app").split(":"))
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o777), (0, gid, 0o640))
        self.assertNotEqual(uid, 0)

    def test_removing_keeps_what_is_the_administrators_and_purging_leaves_nothing(self):
        before = self.everything()
        users = [self.read(f"/etc/{name}") for name in ("passwd", "group", "shadow")]
        self.install()
        self.write(SETTINGS, "HTTP_PORT=8123\n")
        os.makedirs(self.path(STATE), exist_ok=True)
        self.write(f"{STATE}/kept", "a task")
        self.inside("dpkg", "-r", "todo-app")
        for name in PROGRAMS:
            self.assertFalse(os.path.exists(self.path(f"/usr/bin/{name}")), name)
        self.assertEqual(self.read(SETTINGS), "HTTP_PORT=8123\n")
        self.assertEqual(self.read(f"{STATE}/kept"), "a task")
        self.inside("dpkg", "-P", "todo-app")
        self.assertEqual(self.everything(), before)
        after = [self.read(f"/etc/{name}") for name in ("passwd", "group", "shadow")]
        self.assertEqual(after, users)


if __name__ == "__main__":
    as_root()
    unittest.main()
