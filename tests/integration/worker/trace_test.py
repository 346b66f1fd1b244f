"""One trace from an agent's call through the outbox and the relay to a worker's handler."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "lib"))
from stack import OtlpCollector  # noqa: E402
from todo_server import Client, Postgres, Server, wait_for  # noqa: E402
from workers import PATHS, Worker  # noqa: E402

TRACE, AGENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KINDS = {2: "call", 3: "statement", 4: "publish", 5: "process"}


class Trace(unittest.TestCase):
    def test_a_call_is_followed_to_the_handler(self):
        postgres = Postgres(fsync=False)
        self.addCleanup(postgres.close)
        collector = OtlpCollector().start()
        self.addCleanup(collector.close)
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        worker = Worker(postgres.url, env)
        self.addCleanup(worker.stop)
        subscriber = f"task-events=http://127.0.0.1:{worker.port}{PATHS['task-events']}"
        server = Server(postgres.url, {**env, "EVENT_SUBSCRIBERS": subscriber})
        self.addCleanup(server.stop)
        client = Client(server.port)
        self.addCleanup(client.close)
        client.request("tools/call", {"name": "add_task", "arguments": {"title": "traced"}},
                       headers={"traceparent": f"00-{TRACE}-{AGENT}-01"})

        def spans():
            found = {KINDS[s["kind"]]: s for s in collector.spans() if s["traceId"] == TRACE}
            return found if len(found) == len(KINDS) else None
        found = wait_for(spans, 20, "the whole trace")
        self.assertEqual(found["call"]["parentSpanId"], AGENT)
        self.assertEqual(found["statement"]["parentSpanId"], found["call"]["spanId"])
        self.assertEqual(found["publish"]["parentSpanId"], found["call"]["spanId"])
        self.assertEqual(found["process"]["parentSpanId"], found["publish"]["spanId"])
        self.assertEqual(found["publish"]["name"], "publish task-events")
        self.assertEqual(found["process"]["resource"]["service.name"], "recorder")


if __name__ == "__main__":
    unittest.main()
