"""Each file of k8s/dapr is taken by a Kubernetes API server that has Dapr's definitions."""

import glob
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import part  # noqa: E402
from stack.components import MANIFESTS, NAMESPACE  # noqa: E402
from stack.kube import ApiServer, Etcd  # noqa: E402
from todo_server import wait_for  # noqa: E402


class OnKubernetes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        etcd = cls.enterClassContext(Etcd())
        cls.api = cls.enterClassContext(ApiServer(etcd))
        definitions = glob.glob(f"{part('crds')}/*.yaml")
        cls.api.kubectl("apply", "--server-side", *(w for path in definitions for w in ("-f", path)))
        cls.api.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        cls.api.kubectl("create", "namespace", NAMESPACE)
        # A kind may be told later than its definition says.
        wait_for(lambda: cls.api.kubectl("get", "mcpservers.dapr.io", "-A", check=False).returncode
                 == 0, 30, "the kinds")

    def apply(self, text):
        """Unknown members are refused too."""
        return self.api.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-",
                                check=False, stdin=text)

    def test_each_file_is_taken(self):
        paths = sorted(glob.glob(f"{MANIFESTS}/*.yaml"))
        self.assertGreater(len(paths), 9)
        for path in paths:
            with self.subTest(os.path.basename(path)), open(path, encoding="utf-8") as f:
                text = f.read()
                done = self.apply(text)
                self.assertEqual(done.returncode, 0, done.stderr)
                # One for each document: those of a kind that is unknown would be missing.
                self.assertEqual(len(done.stdout.splitlines()), text.count("\nkind: "))

    def test_a_misspelt_member_is_not(self):
        with open(f"{MANIFESTS}/subscriptions.yaml", encoding="utf-8") as f:
            done = self.apply(re.sub("bulkSubscribe", "bulk", f.read()))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("bulk", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
