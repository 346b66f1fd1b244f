#!/usr/bin/env python3
"""The image: built from its Dockerfile, with a Debian of our own as its base, and run as a cluster runs
it, as its own user and with a root that nobody can write.

It needs root, or what as_root() names."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import todo_server  # noqa: E402
from stack import part, PostgresServer  # noqa: E402
from stack.image import ROOT, Container, ContainerServer, as_root, build, buildah  # noqa: E402

PROGRAMS = ("todo-mcp", "todo-notification", "todo-email", "todo-recurring")
SBOM = "/usr/share/doc/todo-app.spdx.json"
LABELS = ("title", "description", "version", "revision", "base.name")
SIZE_MAX_MB = 120


class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        begin = time.monotonic()
        cls.image = build(f"{ROOT}/k8s/Dockerfile", "todo-app", REVISION="0123abc")
        print(f"built in {time.monotonic() - begin:.0f} s")
        cls.container = Container(cls.image)
        cls.addClassCleanup(cls.container.close)
        cls.config = cls.container.config
        cls.env = dict(line.split("=", 1) for line in cls.config["Env"])
        cls.postgres = PostgresServer().start()
        cls.addClassCleanup(cls.postgres.close)
        os.chmod(cls.postgres.folder, 0o711)  # another user's programs come to its socket
        cls.database = {"DATABASE_URL": "postgresql:///postgres?host=/run/postgresql&user=postgres"}

    def start(self, *words, **env):
        server = ContainerServer(self.container, words, {**self.env, **self.database, **env},
                                 user=self.config["User"],
                                 binds={"postgresql": self.postgres.folder})
        self.addCleanup(lambda: server.is_running() and server.kill())
        return server

    def health(self, port):
        """What an engine makes of the image's health check."""
        kind, *words = self.config["Healthcheck"]["Test"]
        self.assertEqual(kind, "CMD")
        return self.container.run(*words, env={**self.env, "HTTP_PORT": str(port)}, check=False,
                                  user=self.config["User"]).returncode == 0

    def test_an_agent_is_served_by_a_user_without_rights_on_a_root_that_is_read_only(self):
        server = self.start(*self.config["Cmd"])
        with open(f"/proc/{server.pid()}/status", encoding="ascii") as f:
            status = dict(line.split(":\t", 1) for line in f.read().splitlines())
        self.assertEqual({int(n) for n in status["CapEff"].split()}, {0})
        self.assertEqual(status["NoNewPrivs"], "1")
        inside = f"/proc/{server.pid()}/root"
        self.assertTrue(os.statvfs(inside).f_flag & os.ST_RDONLY)
        with contextlib.closing(todo_server.Client(server.port)) as client:
            task = client.call("add_task", title="from a container", timezone="Asia/Kolkata",
                               due_date="2030-01-01T00:00:00Z")
            self.assertEqual(client.call("get_task", task_id=task["id"])["title"],
                             "from a container")
        self.assertTrue(self.health(server.port))
        server.stop()
        self.assertFalse(self.health(server.port), "of a server that has ended")

    def test_the_workers_are_healthy_too(self):
        for name in PROGRAMS[1:]:
            server = self.start(f"/usr/bin/{name}", MAILDIR="/tmp/mail")
            self.assertTrue(self.health(server.port), name)
            server.stop()

    def test_each_program_says_its_version(self):
        version = self.config["Labels"]["org.opencontainers.image.version"]
        for name in PROGRAMS:
            said = self.container.run(f"/usr/bin/{name}", "--version", user=self.config["User"])
            self.assertEqual(said.stdout, f"{name} {version}\n")

    def test_it_is_labelled(self):
        labels = self.config["Labels"]
        for name in LABELS:
            self.assertTrue(labels.get(f"org.opencontainers.image.{name}"), name)
        self.assertEqual(labels["org.opencontainers.image.revision"], "0123abc")

    def test_its_user_is_nobody_by_a_number_that_a_cluster_can_check(self):
        uid, gid = map(int, self.config["User"].split(":"))
        self.assertGreater(min(uid, gid), 9999)
        with open(f"{ROOT}/k8s/helm/todo-app/templates/_helpers.tpl", encoding="utf-8") as f:
            self.assertIn(f"runAsUser: {uid}\n", f.read())

    def test_nothing_in_it_builds_or_gives_rights(self):
        found = self.container.run("find", "/", "-xdev", "-type", "f", "(", "-perm", "/6000", "-o",
                                   "-name", "*.h", "-o", "-path", "/var/lib/apt/lists/*_*", "-o",
                                   "-name", "*.deb", ")")
        self.assertEqual(found.stdout, "")
        for name in ("gcc", "cc", "make", "cmake", "ninja", "python3", "perldoc"):
            self.assertFalse(os.path.exists(f"{self.container.path}/usr/bin/{name}"), name)

    def test_it_says_what_it_is_made_of(self):
        path = self.container.path + SBOM
        valid = subprocess.run([part("python"), "-m", "spdx_tools.spdx.clitools.pyspdxtools",
                                "--infile", path], check=False, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        self.assertEqual(valid.returncode, 0, valid.stdout)
        with open(path, encoding="utf-8") as f:
            packages = {p["name"]: p for p in json.load(f)["packages"]}
        self.assertEqual(packages["todo-app"]["versionInfo"],
                         self.config["Labels"]["org.opencontainers.image.version"])
        self.assertRegex(packages["llhttp"]["versionInfo"], r"^\d")
        rows = self.container.run("dpkg-query", "-W", "-f", "${Package} ${Version}\n").stdout
        installed = dict(line.split() for line in rows.splitlines())
        listed = {n: p["versionInfo"] for n, p in packages.items() if n not in ("todo-app", "llhttp")}
        self.assertEqual(listed, installed)
        for package in packages.values():
            purl = package["externalRefs"][0]["referenceLocator"]
            self.assertRegex(purl, r"^pkg:[a-z]+/[\w./~%-]+@[\w.~%-]+(\?arch=\w+)?$")

    def test_each_library_that_it_loads_is_of_a_package(self):
        rows = self.container.run("ldd", *(f"/usr/bin/{name}" for name in PROGRAMS)).stdout
        self.assertNotIn("not found", rows)
        files = sorted(set(re.findall(r"=> (?:/usr)?(/lib/\S+)", rows)))
        owned = self.container.run("dpkg", "-S", *(f"*{os.path.basename(f)}" for f in files))
        self.assertGreater(len(owned.stdout.splitlines()), 20)

    def test_it_is_small(self):
        images = json.loads(buildah("images", "--json", self.image))
        size = subprocess.run(["du", "-sxb", "--apparent-size", self.container.path], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        megabytes = int(size.split()[0]) / 1e6
        print(f"{self.image}: {megabytes:.0f} MB of files, {images[0]['size']} as buildah counts")
        self.assertLess(megabytes, SIZE_MAX_MB)


if __name__ == "__main__":
    as_root()
    unittest.main()
