#!/usr/bin/env python3
"""What makes the release's programs hard to take over, read from the files themselves: the four
programs, each object of the library that is installed, and the commands that compiled them.

TODO_RELEASE names the release build's folder."""

import glob
import json
import os
import platform
import re
import subprocess
import unittest

RELEASE = os.environ["TODO_RELEASE"]
PROGRAMS = [f"{RELEASE}/apps/{name}/{name}"
            for name in ("todo-mcp", "todo-notification", "todo-email", "todo-recurring")]
LIBRARY = f"{RELEASE}/libmcp-server.a"
IS_X86 = platform.machine() == "x86_64"
# They are told no size, so that nothing can check them where the compiler does not see one.
UNCHECKED = {"sprintf", "vsprintf", "strcpy", "strcat", "gets", "stpcpy"}


def readelf(*words):
    return subprocess.run(("readelf", "-W", *words), check=True, capture_output=True,
                          text=True).stdout


class Programs(unittest.TestCase):
    def test_their_addresses_are_chosen_at_each_start(self):
        for path in PROGRAMS:
            self.assertRegex(readelf("-h", path), r"Type:\s+DYN")
            dynamic = readelf("-d", path)
            self.assertRegex(dynamic, r"FLAGS_1\).*\bPIE\b")
            self.assertNotIn("TEXTREL", dynamic)

    def test_what_the_linker_fills_in_is_read_only_from_then_on(self):
        for path in PROGRAMS:
            self.assertIn("GNU_RELRO", readelf("-l", path))
            self.assertRegex(readelf("-d", path), r"FLAGS_1\).*\bNOW\b")

    def test_nothing_that_can_be_written_can_be_run(self):
        for path in PROGRAMS:
            segments = re.findall(r"^\s+(LOAD|GNU_STACK) .* ([RWE ]{3}) +0x\w+$",
                                  readelf("-l", path), re.M)
            self.assertIn("GNU_STACK", [kind for kind, _ in segments])
            self.assertGreater(len(segments), 4)
            for kind, flags in segments:
                self.assertFalse("W" in flags and "E" in flags, (kind, flags))
                self.assertFalse(kind == "GNU_STACK" and "E" in flags)

    def test_they_look_for_libraries_where_the_system_has_them(self):
        for path in PROGRAMS:
            self.assertNotRegex(readelf("-d", path), "RPATH|RUNPATH")

    def test_overflows_of_the_stack_and_of_known_sizes_end_them(self):
        for path in PROGRAMS:
            names = {name.split("@")[0] for name in
                     re.findall(r"UND (\S+)", readelf("--dyn-syms", path))}
            self.assertIn("__stack_chk_fail", names)
            self.assertTrue({"__snprintf_chk", "__memcpy_chk", "__vsnprintf_chk"} & names, names)
            self.assertEqual(names & UNCHECKED, set())

    @unittest.skipUnless(IS_X86, "the instructions are x86's")
    def test_indirect_jumps_have_marked_targets(self):
        """The mark of the whole program needs it in the C library's start files too, which Debian
        12 builds without: so ours are counted in the code."""
        for path in PROGRAMS:
            code = subprocess.run(("objdump", "-d", "--no-show-raw-insn", path), check=True,
                                  capture_output=True, text=True).stdout
            self.assertGreater(code.count("endbr64"), 500)


class Library(unittest.TestCase):
    @unittest.skipUnless(IS_X86, "the property is x86's")
    def test_each_object_allows_control_flow_enforcement(self):
        objects = re.findall(r"^File: (\S+)(.*?)(?=^File: |\Z)", readelf("-n", LIBRARY),
                             re.M | re.S)
        self.assertGreater(len(objects), 50)
        for name, notes in objects:
            self.assertIn("IBT, SHSTK", notes, name)

    def test_no_object_wants_a_stack_that_runs_code(self):
        sections = re.findall(r"\.note\.GNU-stack\s+\S+\s+\S+ \S+ \S+ \S+( *\w*) ",
                              readelf("-S", LIBRARY))
        self.assertEqual(len(sections), readelf("-h", LIBRARY).count("\nFile: "))
        self.assertNotIn("X", "".join(sections))


class Commands(unittest.TestCase):
    """What leaves no trace in a file."""

    def test_every_source_is_compiled_with_all_of_it(self):
        with open(f"{RELEASE}/compile_commands.json", encoding="utf-8") as f:
            commands = json.load(f)
        self.assertGreater(len(commands), 200)
        wanted = ["-fstack-protector-strong", "-fstack-clash-protection",
                  "-ftrivial-auto-var-init=zero"] + ["-fcf-protection=full"] * IS_X86
        for command in commands:
            words = command["command"].split()
            with self.subTest(source=command["file"]):
                self.assertTrue({"-fPIC", "-fPIE"} & set(words))
                self.assertEqual([flag for flag in wanted if flag not in words], [])
                self.assertRegex(command["command"], r"-D_FORTIFY_SOURCE=[23]\b")
                self.assertIn("-O2", words)

    def test_the_build_is_no_debug_build(self):
        self.assertEqual(glob.glob(f"{RELEASE}/**/*.gcno", recursive=True), [])
        for path in PROGRAMS:
            self.assertNotIn("asan", readelf("-d", path))


if __name__ == "__main__":
    unittest.main()
