"""What the tests of the operators' scripts share."""

import json
import os
import subprocess
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SCRIPTS = os.path.join(ROOT, "k8s", "scripts")


class ScriptsCase(unittest.TestCase):
    words = ()  # of each call
    env = {}

    def script(self, name, *words, code=0, env=None):
        """The JSON that it printed, where its exit code is the one that was wanted."""
        done = subprocess.run([os.path.join(SCRIPTS, name), "--json", *self.words, *words],
                              check=False, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env={**os.environ, **self.env, **(env or {})})
        self.assertEqual(done.returncode, code, f"{name} {words}\n{done.stdout}{done.stderr}")
        if code == 2:
            self.assertEqual(done.stdout, "")
            return done.stderr
        told = json.loads(done.stdout)
        self.assertEqual(told["ok"], code == 0)
        return told

    def validate(self, *words, code=0):
        return self.script("validate-dapr-deployment", *words, code=code)

    def found_ill(self, check, *words, more=()):
        """The check finds it, says these words and what to do."""
        told = self.validate("--only", check, *more, code=1)
        self.assertEqual(told["failed"], [check])
        for word in words:
            self.assertIn(word, told["checks"][0]["found"])
        self.assertTrue(told["checks"][0]["mend"] and told["checks"][0]["why"])
