"""The official MCP clients, and the bare messages, against todo-mcp: each over stdio and over HTTP,
in each revision that the client can speak.

    run.sh client_test.py CLIENT [unittest's arguments]     CLIENT: a name of CLIENTS, or all"""

import glob
import os
import shutil
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from sessions import (GoSession, InspectorSession, ProtocolError, PythonAutoSession,  # noqa: E402
                      PythonSession, RustSession, Target, TypeScriptAutoSession,
                      TypeScriptSession, TypeScriptV1Session, WireSession)
from story import Story  # noqa: E402
from todo_server import (LEGACY, MODERN, SKIPPED, Postgres, Server,  # noqa: E402
                         server_binary)

EVERY = (MODERN, *LEGACY)
CLIENTS = {  # name -> (session, revisions, what it tells)
    "python": (PythonSession, EVERY, Story.run),
    "python_auto": (PythonAutoSession, (MODERN,), Story.tour),
    "typescript": (TypeScriptSession, EVERY, Story.run),
    "typescript_auto": (TypeScriptAutoSession, (MODERN,), Story.tour),
    "typescript_v1": (TypeScriptV1Session, LEGACY[:1], Story.run),
    "go": (GoSession, EVERY, Story.run),
    "rust": (RustSession, EVERY, Story.run),
    "inspector": (InspectorSession, (MODERN, LEGACY[0]), Story.tour),
    "wire": (WireSession, EVERY, Story.run),
}


class ClientTest(unittest.TestCase):
    """add_tests makes a test of each client, transport and revision; each has a user of its own."""
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.reports = tempfile.mkdtemp(prefix="todo-reports-")

    @classmethod
    def tearDownClass(cls):
        cls.postgres.close()
        shutil.rmtree(cls.reports)

    def tearDown(self):
        for path in glob.glob(f"{self.reports}/*"):
            with open(path, encoding="utf-8") as report:
                self.fail(report.read())

    def target(self, transport, user):
        options = f"log_path={self.reports}/report"
        env = {"DATABASE_URL": self.postgres.url, "TODO_USER": user, "LOG_LEVEL": "warn",
               "TODO_TIMEZONE": "Europe/Berlin", "ASAN_OPTIONS": options, "UBSAN_OPTIONS": options}
        if transport == "stdio":
            return Target(None, server_binary(), ["--stdio"], env)
        server = Server(self.postgres.url, {**env, "LOG_LEVEL": "info"})
        self.addCleanup(server.stop)
        return Target(f"http://127.0.0.1:{server.port}/mcp", None, None, {})

    def tell(self, client, transport, revision):
        session_class, _, tell = CLIENTS[client]
        target = self.target(transport, f"{client} {transport} {revision}")
        with session_class(target, revision) as session:
            tell(Story(self, session))
            with self.assertRaises(ProtocolError) as raised:
                session.call("no_such_tool")
            if raised.exception.code is not None:
                self.assertEqual(raised.exception.code, -32602)


def add_tests(clients):
    for client in clients:
        for transport in ("stdio", "http"):
            for revision in CLIENTS[client][1]:
                def test(self, client=client, transport=transport, revision=revision):
                    self.tell(client, transport, revision)
                name = f"test_{client}_over_{transport}_speaks_{revision.replace('-', '_')}"
                setattr(ClientTest, name, test)


if __name__ == "__main__":
    chosen = sys.argv.pop(1) if len(sys.argv) > 1 else "all"
    add_tests(CLIENTS if chosen == "all" else [chosen])
    result = unittest.main(verbosity=2, exit=False).result
    if len(result.skipped) == result.testsRun:
        sys.exit(SKIPPED)
    sys.exit(not result.wasSuccessful())
