#!/usr/bin/env python3
"""The Debian package of the release build: what is in it, that its programs run as they were
packed, and how much its systemd units let them do.

TODO_RELEASE names the release build's folder."""

import glob
import os
import re
import subprocess
import tempfile
import unittest

PROGRAMS = ("todo-mcp", "todo-notification", "todo-email", "todo-recurring")
EXPOSURE_MAX = 1.5  # of 10, as systemd-analyze judges


def run(*words, **kwargs):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, **kwargs).stdout


def build_package():
    """Where the package is."""
    build = os.environ["TODO_RELEASE"]
    run("cmake", "--build", build, "--target", "package")
    path, = glob.glob(f"{build}/todo-app_*.deb")
    return path


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.deb = build_package()
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = cls.folder.name
        run("dpkg-deb", "-x", cls.deb, cls.root)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_the_four_programs_run_as_they_were_packed(self):
        version = run("dpkg-deb", "-f", self.deb, "Version").strip()
        for program in PROGRAMS:
            said = run(f"{self.root}/usr/bin/{program}", "--version")
            self.assertEqual(said, f"{program} {version}\n")
            self.assertLess(os.path.getsize(f"{self.root}/usr/bin/{program}"), 2 << 20)

    def test_it_depends_on_the_libraries_that_they_load(self):
        depends = run("dpkg-deb", "-f", self.deb, "Depends")
        for library in ("libpq5", "libuv1", "libcurl4", "librdkafka1", "libcjson1", "libcjose0"):
            self.assertIn(library, depends)

    def test_the_settings_file_is_the_administrators(self):
        self.assertEqual(run("dpkg-deb", "--info", self.deb, "conffiles").strip(),
                         "/etc/todo/todo.env")
        mode = os.stat(f"{self.root}/etc/todo/todo.env").st_mode & 0o777
        self.assertEqual(mode, 0o640, "it will hold passwords")

    def test_the_scripts_of_the_package_are_sound(self):
        for script in ("postinst", "prerm", "postrm"):
            text = run("dpkg-deb", "--info", self.deb, script)
            self.assertEqual(run("shellcheck", "-s", "sh", "-", input=text), "", script)

    def test_the_units_allow_little(self):
        for program in PROGRAMS:
            unit = f"{self.root}/usr/lib/systemd/system/{program}.service"
            said = run("systemd-analyze", "security", "--offline=true", unit)
            exposure = float(re.search(r"exposure level for \S+: ([0-9.]+)", said)[1])
            print(f"{program}: exposure {exposure} of 10")
            self.assertLessEqual(exposure, EXPOSURE_MAX, said)

    def test_the_units_start_the_packed_programs(self):
        for program in PROGRAMS:
            with open(f"{self.root}/usr/lib/systemd/system/{program}.service",
                      encoding="utf-8") as f:
                command = re.search(r"^ExecStart=(\S+)", f.read(), re.M)[1]
            self.assertTrue(os.access(self.root + command, os.X_OK), command)


if __name__ == "__main__":
    unittest.main()
