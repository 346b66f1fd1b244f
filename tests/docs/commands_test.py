"""The executor of documents' commands finds what is wrong with a document."""

import unittest

from commands import BlockError, Shell, missing_line, read_blocks


def doc(*blocks):
    return "# A heading\n\n" + "\n\n".join(f"```{kind}\n{text}\n```" for kind, text in blocks)


class Reading(unittest.TestCase):
    def test_blocks_have_their_kind_heading_and_expected_lines(self):
        blocks = read_blocks(doc(("yaml", "# mine.yaml\na: 1"), ("sh", "cat mine.yaml"),
                                 ("text", "a: 1")))
        self.assertEqual([(b.kind, b.heading, b.expected) for b in blocks],
                         [("yaml", "A heading", []), ("sh", "A heading", ["a: 1"])])

    def test_what_nothing_would_run_or_check_is_refused(self):
        for wrong in (doc(("", "true")), doc(("bash", "true")), doc(("sh skip", "true")),
                      doc(("text", "alone")), doc(("sh", "true"), ("text", "a"), ("text", "b")),
                      doc(("sh", "kubectl get pods")), doc(("sh cluster", "true")),
                      doc(("yaml", "# unused.yaml\na: 1")), doc(("yaml", "a: 1")),
                      doc(("sh", "true"))[:-3], "1. x\n   ```sh\n   true\n   ```\n",
                      "~~~sh\ntrue\n~~~\n"):
            with self.subTest(wrong), self.assertRaises(BlockError):
                read_blocks(wrong)

    def test_expected_lines_are_looked_for_in_order(self):
        output = "one 1\n  two\nthree\n"
        self.assertIsNone(missing_line(["one …", "three"], output))
        self.assertEqual(missing_line(["three", "two"], output), "two")
        self.assertEqual(missing_line(["tw"], output), "tw")


class Running(unittest.TestCase):
    def setUp(self):
        self.shell = Shell(env={"GIVEN": "yes"})
        self.addCleanup(self.shell.close)

    def run_text(self, text, line=1, seconds=20):
        block = read_blocks(doc(("sh", text)))[0]
        block.line = line
        return self.shell.run(block, seconds)

    def test_blocks_share_one_shell(self):
        self.run_text("x=$GIVEN; cd /", 1)
        self.assertEqual(self.run_text("echo $x; pwd", 2), "yes\n/\n")

    def test_a_command_that_fails_fails_its_block(self):
        for text in ("false; true", "false | true", "echo $not_set", "exit 0", "return 1"):
            with self.subTest(text):
                shell = Shell()
                self.addCleanup(shell.close)
                with self.assertRaises(BlockError):
                    shell.run(read_blocks(doc(("sh", text)))[0], 20)

    def test_a_command_without_an_end_fails(self):
        with self.assertRaisesRegex(BlockError, "did not end"):
            self.run_text("sleep 60", seconds=0.2)


if __name__ == "__main__":
    unittest.main()
