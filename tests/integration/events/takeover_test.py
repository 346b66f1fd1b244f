#!/usr/bin/env python3
"""Relays as processes, posting to a real HTTP subscriber: who leads, and who takes over when the
leader is killed, stopped or ended; commits of other processes; an outage of the subscriber.

TODO_MCP names the program."""

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "lib"))
import todo_server  # noqa: E402
from todo_server import wait_for  # noqa: E402

INSERT = """insert into todo.outbox (id, key, topic, type, data)
select todo.uuid_v7(), (n % 10)::text, 'task-events', 'TaskUpdatedEvent', jsonb_build_object('n', n)
from generate_series({0}, {1}) n order by n"""


class Subscriber:
    """Keeps each event that comes, with the time; answers `status`."""

    def __init__(self):
        self.events, self.headers, self.status, self.posts = [], [], 200, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.posts += 1
                if outer.status == 200:
                    outer.headers.append(dict(self.headers))
                    outer.events.append((time.monotonic(), json.loads(body)))
                self.send_response(outer.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # a killed relay's connections

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/events"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def numbers(self):
        return [event["data"]["n"] for _, event in self.events]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Relay:
    """A `todo-mcp relay` process."""

    def __init__(self, url, subscriber, **env):
        self.process = subprocess.Popen(
            [todo_server.server_binary(), "relay"], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "DATABASE_URL": url, "LOG_FORMAT": "json",
                 "EVENT_SUBSCRIBERS": f"task-events={subscriber}", **env})
        self.lines = []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        wait_for(lambda: self.has_said("relaying") or self.process.poll() is not None)

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def has_said(self, message):
        return any(f'"msg":"{message}"' in line for line in self.lines)

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.reader.join(10)
        self.process.stderr.close()
        return code


class Takeover(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = todo_server.Postgres(fsync=False)
        cls.addClassCleanup(cls.postgres.close)
        subprocess.run([todo_server.server_binary(), "migrate"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={**os.environ, "DATABASE_URL": cls.postgres.url})

    def setUp(self):
        self.postgres.query("truncate todo.outbox, todo.relay")
        self.subscriber = Subscriber()
        self.addCleanup(self.subscriber.close)
        self.count = 0

    def relay(self, **env):
        relay = Relay(self.postgres.url, self.subscriber.url, **env)
        self.addCleanup(lambda: relay.process.poll() is None and relay.end(signal.SIGKILL))
        return relay

    def insert(self, count):
        self.postgres.query(INSERT.format(self.count + 1, self.count + count))
        self.postgres.query("notify todo_outbox")
        self.count += count

    def wait_for_all(self):
        wait_for(lambda: len(set(self.subscriber.numbers())) == self.count, 30, "all events")
        wait_for(lambda: self.postgres.value(
            "select count(*) from todo.outbox where published_at is null") == "0", 30, "all marks")

    def check_order(self):
        """First deliveries of a key are in order; a repeat comes after what it repeats."""
        seen, last = set(), {}
        for n in self.subscriber.numbers():
            if n not in seen:
                self.assertGreater(n, last.get(n % 10, 0))
                last[n % 10] = n
                seen.add(n)

    def pair(self):
        """A leader and one that stands by."""
        leader = self.relay()
        wait_for(lambda: leader.has_said("relay leads"))
        other = self.relay()
        self.insert(20)
        self.wait_for_all()
        self.assertFalse(other.has_said("relay leads"))
        return leader, other

    def gap_after(self, act, limit):
        """How long no event came after `act`, while some were inserted."""
        act()
        before = time.monotonic()
        self.insert(20)
        self.wait_for_all()
        gap = self.subscriber.events[-1][0] - before
        self.check_order()
        self.assertLess(gap, limit)
        return gap

    def test_a_killed_leader_is_followed_within_two_seconds(self):
        leader, other = self.pair()
        gap = self.gap_after(lambda: leader.end(signal.SIGKILL), 2)
        print(f"takeover after kill -9: {gap:.3f} s", file=sys.stderr)
        self.assertEqual(other.end(), 0)

    def test_a_stopped_leader_is_followed_within_five_seconds_and_steps_down(self):
        leader, other = self.pair()
        gap = self.gap_after(lambda: leader.process.send_signal(signal.SIGSTOP), 5)
        print(f"takeover after SIGSTOP: {gap:.3f} s", file=sys.stderr)
        self.assertTrue(other.has_said(
            "relay ended the session of a leader that had fallen silent"))
        leader.process.send_signal(signal.SIGCONT)
        wait_for(lambda: leader.has_said("relay no longer leads"))
        self.insert(20)
        self.wait_for_all()
        self.check_order()
        self.assertEqual(leader.end(), 0)
        self.assertEqual(other.end(), 0)

    def test_an_ended_leader_is_followed_at_once(self):
        leader, other = self.pair()
        self.gap_after(lambda: self.assertEqual(leader.end(), 0), 1.5)
        self.assertEqual(other.end(), 0)

    def test_leaders_killed_again_and_again_under_load_lose_nothing(self):
        relays = [self.relay(), self.relay()]
        for _ in range(6):
            self.insert(3000)
            wait_for(lambda: len(self.subscriber.events) > self.count - 2500, 30, "some events")
            leader = next(r for r in relays if r.has_said("relay leads"))
            relays.remove(leader)
            leader.end(signal.SIGKILL)
            relays.append(self.relay())
        self.wait_for_all()
        self.check_order()
        print(f"{len(self.subscriber.events) - self.count} repeats of {self.count}",
              file=sys.stderr)
        for relay in relays:
            self.assertEqual(relay.end(), 0)

    def test_a_server_wakes_the_leader_of_another_process(self):
        leader = self.relay()
        wait_for(lambda: leader.has_said("relay leads"))
        for env in ({"RELAY": "false"}, {"RELAY": "true"}):
            server = todo_server.Server(self.postgres.url, {
                "TODO_USER": "someone", "EVENT_SUBSCRIBERS": f"task-events={self.subscriber.url}",
                **env})
            client = todo_server.Client(server.port)
            client.call("add_task", title="first")
            wait_for(lambda: self.subscriber.events)
            late = 0
            for n in range(20):
                before, count = time.monotonic(), len(self.subscriber.events)
                client.call("add_task", title=f"task {n}")
                wait_for(lambda: len(self.subscriber.events) > count)
                late += time.monotonic() - before > 0.5  # the poll would need up to 1 s
            self.assertLessEqual(late, 2)
            event = self.subscriber.events[-1][1]
            self.assertEqual(event["data"]["title"], "task 19")
            self.assertEqual(event["source"], "/todo/mcp-server")
            client.close()
            server.stop()
            self.subscriber.events.clear()
        self.assertEqual(leader.end(), 0)

    def test_an_outage_of_the_subscriber_is_no_busy_loop(self):
        self.subscriber.status = 503
        relay = self.relay(APP_API_TOKEN="the token")
        self.insert(100)
        wait_for(lambda: relay.has_said("events cannot go out"))
        posts = self.subscriber.posts
        time.sleep(2)
        self.assertLess(self.subscriber.posts - posts, 200)
        self.subscriber.status = 200
        self.wait_for_all()
        self.check_order()
        self.assertTrue(relay.has_said("events go out again"))
        self.assertEqual(self.subscriber.headers[0]["dapr-api-token"], "the token")
        self.assertEqual(self.subscriber.headers[0]["Content-Type"],
                         "application/cloudevents+json")
        self.assertEqual(self.postgres.value("select max(attempts) from todo.outbox"), "0")
        self.assertEqual(relay.end(), 0)

    def test_settings_that_will_not_do_stop_the_start(self):
        for env, words in (({"EVENT_SUBSCRIBERS": "task-events"}, "topic=url"),
                           ({"EVENT_SUBSCRIBERS": "tasks=http://a/"}, "task-reminders"),
                           ({"EVENT_SUBSCRIBERS": "task-events=ftp://a/"}, "http://"),
                           ({"EVENT_SUBSCRIBERS": "task-events=http:///x"}, "host"),
                           ({"INBOX_RETENTION_DAYS": "2"}, "OUTBOX_RETENTION_HOURS")):
            done = subprocess.run([todo_server.server_binary(), "relay"], capture_output=True,
                                  text=True, env={**os.environ, "DATABASE_URL": self.postgres.url,
                                                  **env}, check=False)
            self.assertEqual(done.returncode, 2, env)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        unittest.main(verbosity=2)
