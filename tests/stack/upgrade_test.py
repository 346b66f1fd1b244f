"""An upgrade under load: a later version migrates the database beside today's programs, which go on,
and then each of them is rolled to it. No call fails, no change loses its event, no mail comes twice.

The later version is our own code with one migration more (tests/support/next). TODO_MCP, TODO_RECORDER
and TODO_NEXT, the folder of the later version's programs, are in the environment."""

import argparse
import os
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "faults")]
from campaign_load import CampaignLoad  # noqa: E402
from rig import Program  # noqa: E402
from stack import Balancer, http_status  # noqa: E402
from todo_server import server_binary, wait_for  # noqa: E402
from verdict import Verdict  # noqa: E402
from workers_load import KeyedClient  # noqa: E402
from workers_rig import WORKERS, WorkersRig  # noqa: E402
from workers_verdict import WorkersVerdict  # noqa: E402

RATE, REMINDERS, WINDOW_S = 60, 2, 12
LEAVE_MS = 1500
PAIRS = 2  # of todo-mcp: an old one and the one that takes its place


def next_binary(name):
    return os.path.join(os.environ["TODO_NEXT"], name)


class SeldomClient(KeyedClient):
    """A connection a call: one that lies idle may end just when the next call is sent."""

    def request(self, method, params=None, headers=None):
        try:
            return super().request(method, params, headers)
        finally:
            self.close()


class UpgradeRig(WorkersRig):
    """Old programs behind one address, and the new ones beside them, which are not started yet."""

    def __init__(self):
        super().__init__("direct", replicas=2)
        self.later = [Program(f"todo-mcp-next-{n}", next_binary("todo-mcp"), self.settings(n))
                      for n in range(PAIRS)]
        self.old_workers, self.new_workers = self.workers[::2], self.workers[1::2]
        for name, worker in zip(WORKERS, self.new_workers):
            worker.binary = next_binary(name)
        self.olds = list(self.replicas)
        self.replicas += self.later
        self.front = Balancer([replica.port for replica in self.olds])

    def settings(self, number):
        return super().settings(number) | {"POOL_SIZE": "4", "SHUTDOWN_DELAY_MS": str(LEAVE_MS)}

    @property
    def ports(self):
        return [self.front.port]

    def start_old(self):
        new = (*self.later, *self.new_workers)
        return self.start([part for part in self.all if part not in new])

    def close(self):
        super().close()
        self.front.close()


class Upgrade(unittest.TestCase):
    def setUp(self):
        self.rig = self.enterContext(UpgradeRig())
        self.rig.start_old()
        self.query, self.value = self.rig.postgres.query, self.rig.postgres.value
        self.doubts = []
        self.load = CampaignLoad(self.rig, 11, argparse.Namespace(
            rate=RATE, reminders=REMINDERS, window_s=WINDOW_S))
        for client in self.load.workers.clients:
            client.connect = lambda port: SeldomClient(port, timeout=15)
        self.addCleanup(self.load.stop)
        self.load.start()

    def wait_calls(self, count=RATE):
        end = self.load.answered() + count
        wait_for(lambda: self.load.answered() >= end or self.load.fault(), 60, "the load")

    def failed(self):
        return self.load.agents.repeats() + self.load.workers.repeats()

    def run_program(self, binary, *words):
        return subprocess.run([binary, *words], check=False, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, "DATABASE_URL": self.rig.database_url,
                                   "HTTP_PORT": "0"})

    def test_a_later_version_takes_over_under_load(self):
        self.wait_calls()
        self.migrate()
        self.wait_calls(2 * RATE)
        self.assertEqual(self.failed(), 0, "calls failed by the migration")
        crashed = self.crash_beside_the_new_schema()
        self.contract()
        for old, new in zip(self.rig.olds, self.rig.later):
            self.roll(old, new)
        self.assertEqual(self.failed(), crashed, "calls failed by the change of todo-mcp")
        for old, new in zip(self.rig.old_workers, self.rig.new_workers):
            new.start()
            old.stop()  # checks its exit code
        self.wait_calls()
        self.finish(crashed)

    def migrate(self):
        """As the Job of the chart does, before the first new program starts."""
        before = int(self.value("select max(version) from todo.schema_migrations"))
        done = self.run_program(next_binary("todo-mcp"), "migrate")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(self.query("select version, name from todo.schema_migrations"
                                    f" where version > {before}"),
                         [[str(before + 1), "9999_next.sql"]])

    def crash_beside_the_new_schema(self):
        """Old programs that were killed come back. The calls that were in a killed one's hand fail, a
        client's one each; how many did."""
        killed = (self.rig.olds[1], *self.rig.old_workers, self.rig.recorder)
        self.doubts.append((time.time(), time.time() + 1))
        for program in killed:
            program.kill()
        for program in killed:
            program.start(wait=False)
        for program in killed:
            program.wait_ready()
        failed = self.failed()
        self.assertLessEqual(failed, len(self.load.agents.workers) + len(self.load.workers.clients))
        self.wait_calls(2 * RATE)
        self.assertEqual(self.failed(), failed, "calls failed beside the newer schema")
        return failed

    def contract(self):
        """From now on the schema needs the later version: an old one that starts says so."""
        newest = int(self.value("select max(version) from todo.schema_migrations"))
        self.query("insert into todo.schema_migrations (version, name, checksum)"
                   f" values ({newest + 1}, '9999_contract_{newest}_gone.sql', 'x')")
        for binary in (server_binary(), self.rig.old_workers[0].binary):
            refused = self.run_program(binary)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(f"needs a program of version {newest} or newer", refused.stdout)

    def roll(self, old, new):
        new.start()
        self.rig.front.ports.append(new.port)
        os.kill(old.pid, signal.SIGTERM)
        told = time.monotonic()
        wait_for(lambda: http_status(f"http://127.0.0.1:{old.port}/readyz") == 503, 5,
                 "the end of readiness")
        self.assertLess(time.monotonic() - told, LEAVE_MS / 2000)
        answered = self.call_while_leaving(old, told + LEAVE_MS / 2000)
        self.rig.front.ports.remove(old.port)
        wait_for(lambda: not old.is_running(), 60, f"the end of {old.name}")
        self.assertGreaterEqual(time.monotonic() - told, LEAVE_MS / 1000)
        self.assertEqual(old.process.returncode, 0, old.log_tail())
        self.assertGreater(answered, 0)
        self.wait_calls()

    def call_while_leaving(self, old, end):
        """It answers each call, and that this connection is at its end."""
        client = self.load.connect(old.port)
        answered = 0
        while time.monotonic() < end:
            client.call("list_tasks", limit=1)
            self.assertIsNone(client.connection.sock, "the answer did not say Connection: close")
            answered += 1
        return answered

    def finish(self, crashed):
        self.load.end()
        events = Verdict(self.rig, self.load.agents, subject=self.load.agent.subject)
        workers = WorkersVerdict(self.rig, self.load.workers, self.doubts)
        for verdict in (events, workers):
            verdict.wait_until_settled(60)
        self.rig.stop_workers()
        self.rig.recorder.stop()
        for verdict in (events, workers):
            verdict.check()
            print(verdict.figures)
        events.require()
        workers.require(30)  # seconds: a mail that a kill of its worker held up
        self.assertEqual(self.failed(), crashed)
        self.assertGreater(int(self.value("select count(*) from todo.tasks where next_weight = 1")), 0)
        self.rig.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
