"""Streams over HTTP from outside: broken, resumed, released, forgotten, listened to, never read,
idle by the thousand, ended with their session or the server.
Usage: streams_test.py SERVER [TEST…]"""

import json
import os
import resource
import socket
import sys
import unittest

from client import (LEGACY, MODERN, Case, Later, Session, modern, request, steps, text_of,
                    wait_for)


class Resumption(Case):
    def test_a_cut_stream_is_resumed_where_it_broke_and_ends_with_the_answer(self):
        for revision in LEGACY:
            with self.subTest(revision):
                session = Session(self.server, revision)
                stream = session.call("hold", count=3)
                first = stream.message()
                stream.cut()
                self.server.until(held=1)
                again = session.listen(first["id"])
                self.assertEqual(steps([again.message(), again.message()]), [2, 3])
                self.server.get("/go")
                self.assertEqual(text_of(again.message()), "done")
                self.assertIsNone(again.event())
                self.assertEqual(session.delete().status, 204)

    def test_an_answer_that_came_while_nobody_was_connected_is_replayed(self):
        session = Session(self.server)
        stream = session.call("hold", count=1)
        event = stream.message()
        stream.cut()
        self.server.until(held=1)
        self.server.get("/go")
        self.server.until(held=0)
        events = session.listen(event["id"]).rest()
        self.assertEqual([text_of(e) for e in events], ["done"])
        self.assertEqual(session.listen(events[0]["id"]).rest(), [])

    def test_cutting_a_stream_cancels_nothing(self):
        session = Session(self.server)
        before = self.server.stats()["cancelled"]
        session.call("hold", count=1).cut()
        session.tell({"method": "notifications/initialized"})
        self.assertEqual(self.server.stats()["held"], 1)
        self.assertEqual(self.server.stats()["cancelled"], before)
        self.server.get("/go")

    def test_an_id_primes_each_stream_of_the_newest_handshake_revision_only(self):
        for revision in LEGACY:
            with self.subTest(revision):
                session = Session(self.server, revision)
                stream, listening = session.call("hold", count=1), session.listen()
                self.server.get("/go")
                first = stream.event()
                if revision == LEGACY[0]:
                    self.assertEqual((first["data"], first["retry"]), ("", "1000"))
                    self.assertTrue(first["id"])
                    self.assertEqual(listening.event()["data"], "")
                else:
                    self.assertIn("progress", first["data"])
                session.delete()

    def test_events_have_ids_that_no_other_stream_of_the_session_has(self):
        session = Session(self.server)
        streams = [session.call("hold", count=2) for _ in range(3)]
        self.server.get("/go")
        ids = [e["id"] for s in streams for e in s.rest()]
        self.assertEqual(len(ids), 12)
        self.assertEqual(len(set(ids)), 12)

    def test_a_released_connection_ends_and_its_answer_is_polled_for(self):
        session = Session(self.server)
        events = session.call("poll").rest()
        self.assertEqual(events[0]["data"], "")
        self.assertEqual(events[-1], {"retry": "10"})
        self.server.until(held=1)
        again = session.listen(events[0]["id"])
        self.server.get("/go")
        self.assertEqual(text_of(again.message()), "done")
        self.assertIsNone(again.event())

    def test_older_revisions_and_the_stateless_one_keep_their_connection(self):
        session = Session(self.server, LEGACY[1])
        for call in (lambda sock: request(self.server, "POST", sock=sock, **session.headers, body={
                "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "poll"}}),
                     lambda sock: modern(self.server, "tools/call", name="poll", sock=sock)):
            sock = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
            other = Later(call, sock)
            self.server.until(held=1)
            self.server.get("/go")
            self.assertEqual(other.result().json()["result"]["content"][0]["text"], "done")

    def test_the_second_connection_of_a_stream_replaces_the_first(self):
        session = Session(self.server)
        stream = session.call("hold", count=1)
        event = stream.message()
        again = session.listen(event["id"])
        self.assertEqual(stream.rest(), [])
        self.server.get("/go")
        self.assertEqual(text_of(again.message()), "done")

    def test_stateless_streams_have_no_ids(self):
        stream = modern(self.server, "tools/call", name="hold", arguments={"count": 1},
                        _meta={"progressToken": 1})
        self.server.get("/go")
        self.assertTrue(all("id" not in e and "retry" not in e for e in stream.rest()))

    def test_ids_that_were_never_given_are_refused(self):
        session, other = Session(self.server), Session(self.server)
        given = other.listen().event()["id"]
        for last in ("x", "r1", "r1-", "-1", "s1 -0", "r99-1", "s99-1", "r1-1-1", "r-1", "1-1",
                     "é", "r1-99999999999999999999", given):
            with self.subTest(last):
                self.refused(session.listen(last), 400)
        stream = session.listen()
        mine = stream.event()["id"]
        self.refused(session.listen(mine[:-1] + "9"), 400)
        self.refused(session.listen("r" + mine[1:]), 410)

    def test_a_client_answers_a_question_that_it_was_asked_on_a_resumed_stream(self):
        session = Session(self.server)
        stream = session.call("ask")
        event = stream.event()
        stream.cut()
        again = session.listen(event["id"])
        question = json.loads(again.message()["data"])
        self.assertEqual(question["method"], "elicitation/create")
        answer = {"id": question["id"], "result": {"action": "accept", "content": {"name": "Ada"}}}
        self.assertEqual(session.tell(answer).status, 202)
        self.assertEqual(text_of(again.message()), "Ada")


class Forgetting(Case):
    options = ("--replay-ms", 300, "--replay-bytes", 20000)

    def forget_one(self, session):
        """Waits until a stream that ended just now is forgotten: older ones are so too."""
        last = session.call("hold", count=1, ends=True).rest()[-1]["id"]
        self.assertEqual(session.listen(last).status, 200)
        wait_for(lambda: session.listen(last).status != 200)
        self.refused(session.listen(last), 410)

    def test_what_is_answered_is_forgotten_in_time(self):
        self.forget_one(Session(self.server))

    def test_a_call_that_goes_on_is_not_forgotten(self):
        session = Session(self.server)
        stream = session.call("hold", count=1)
        event = stream.message()
        stream.cut()
        self.forget_one(session)
        again = session.listen(event["id"])
        self.server.get("/go")
        self.assertEqual(text_of(again.message()), "done")

    def test_a_new_stream_opens_in_place_of_a_forgotten_one_without_a_request(self):
        session = Session(self.server)
        stream = session.listen()
        last = stream.event()["id"]
        stream.cut()
        self.forget_one(session)
        event = session.listen(last).event()
        self.assertEqual(event["data"], "")
        self.assertNotEqual(event["id"], last)

    def test_the_log_drops_its_oldest_events_but_never_the_answer(self):
        session = Session(self.server)
        stream = session.call("hold", count=100, bytes=1000)
        first = stream.event()
        stream.cut()
        self.server.get("/go")
        self.server.until(held=0)
        events = session.listen(first["id"]).rest()
        got = steps(events)
        self.assertEqual(got, list(range(101 - len(got), 101)))
        self.assertTrue(5 < len(got) < 20, got)
        self.assertEqual(text_of(events[-1]), "done")


class Listening(Case):
    def setUp(self):
        self.session = Session(self.server)
        self.session.post("resources/subscribe", uri="note://1")

    def updates(self, stream, count):
        for _ in range(count):
            self.assertEqual(json.loads(stream.message()["data"])["method"],
                             "notifications/resources/updated")

    def test_what_is_told_while_the_connection_is_broken_comes_with_its_resumption(self):
        stream = self.session.listen()
        last = stream.event()["id"]
        self.server.get("/touch?1")
        self.updates(stream, 1)
        stream.cut()
        self.server.get("/touch?3")
        again = self.session.listen(last)
        self.updates(again, 4)

    def test_each_message_goes_on_the_newest_connected_stream_only(self):
        first, second = self.session.listen(), self.session.listen()
        self.assertNotEqual(first.event()["id"], second.event()["id"])
        self.server.get("/touch?2")
        self.updates(second, 2)
        second.cut()
        self.server.stats()  # the server reads of the end no later than of what was sent after it
        self.server.get("/touch?1")
        self.updates(first, 1)
        self.session.delete()
        self.assertEqual(first.rest(), [])

    def test_without_a_stream_nothing_is_kept(self):
        self.server.get("/touch?3")
        stream = self.session.listen()
        stream.event()
        self.server.get("/touch?1")
        self.updates(stream, 1)
        self.session.delete()
        self.assertEqual(stream.rest(), [])

    def test_a_stream_ends_with_its_session(self):
        stream = self.session.listen()
        self.assertEqual(self.session.delete().status, 204)
        self.assertEqual(len(stream.rest()), 1)
        self.refused(self.session.listen(), 404)
        self.refused(self.session.post("tools/list"), 404)

    def test_a_call_in_flight_is_cancelled_with_its_session(self):
        before = self.server.stats()["cancelled"]
        stream = self.session.call("hold", count=1)
        stream.message()
        quiet = Later(self.session.call, "hold")
        self.server.until(held=2)
        self.assertEqual(self.session.delete().status, 204)
        self.assertEqual(stream.rest(), [])
        self.refused(quiet.result(), 404)
        self.server.until(held=0, in_flight=0, cancelled=before + 2)


class Stateless(Case):
    def listen(self, sock=None):
        stream = modern(self.server, "subscriptions/listen", sock=sock,
                        notifications={"resourceSubscriptions": ["note://1"]})
        self.assertIn("acknowledged", stream.message()["data"])
        return stream

    def test_closing_the_stream_cancels_the_call(self):
        before = self.server.stats()["cancelled"]
        stream = modern(self.server, "tools/call", name="hold", arguments={"count": 1},
                        _meta={"progressToken": 1})
        stream.message()
        stream.cut()
        self.server.until(cancelled=before + 1, held=0, in_flight=0)

    def test_closing_the_stream_ends_the_subscription(self):
        streams = [self.listen() for _ in range(5)]
        self.server.until(subscribers=5)
        self.server.get("/touch")
        for stream in streams:
            self.assertIn("updated", stream.message()["data"])
            stream.cut()
        self.server.until(subscribers=0)

    def test_several_subscribers_that_are_gone_are_told_at_once(self):
        streams = [self.listen() for _ in range(20)]
        for stream in streams:
            stream.cut()
        self.server.get("/touch?5")
        self.server.until(subscribers=0)

    def test_old_ways_are_not_known(self):
        for method in ("GET", "DELETE"):
            answer = request(self.server, method, MCP_Protocol_Version=MODERN)
            self.refused(answer, 405)
            self.assertIn("POST", answer.headers["allow"])


class Hoarders(Case):
    options = ("--stream-bytes", 100000, "--connections", 20000)

    def silent(self):
        """A connection that takes in as little as it can."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", self.server.port))
        return sock

    def test_a_subscriber_that_never_reads_is_dropped(self):
        stream = modern(self.server, "subscriptions/listen", sock=self.silent(),
                        notifications={"resourceSubscriptions": ["note://1"]})
        before = self.rss()
        self.server.until(subscribers=1)
        wait_for(lambda: self.server.get("/touch?1000") or self.server.stats()["subscribers"] == 0)
        if not self.is_sanitized():
            self.assertLess(self.rss() - before, 4 << 20)
        self.assertRaises(ConnectionError, stream.rest)

    def test_a_session_whose_stream_is_never_read_goes_on(self):
        session = Session(self.server)
        session.post("resources/subscribe", uri="note://1")
        lost = request(self.server, "GET", sock=self.silent(), Accept="text/event-stream",
                       **session.headers)
        last = lost.event()["id"]
        before = self.rss()
        for _ in range(100):
            self.server.get("/touch?1000")
        if not self.is_sanitized():
            self.assertLess(self.rss() - before, 4 << 20)
        self.assertEqual(session.post("ping").status, 200)
        self.assertIn("updated", session.listen(last).message()["data"])
        self.assertEqual(session.delete().status, 204)

    def rss(self):
        with open(f"/proc/{self.server.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS"))

    def is_sanitized(self):
        with open(f"/proc/{self.server.process.pid}/status", encoding="ascii") as status:
            return any(line.startswith("VmPeak") and int(line.split()[1]) > 1 << 30
                       for line in status)

    def test_many_idle_streams_need_little_memory(self):
        """Half of them subscriptions, half streams of sessions."""
        if self.is_sanitized():
            self.skipTest("memory means nothing under a sanitizer")
        count = int(os.environ.get("MCP_HTTP_STREAMS", "10000"))
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        count = min(count, hard // 2 - 100)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2 * count + 200), hard))
        resource.prlimit(self.server.process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        before = self.rss()
        streams = []
        for i in range(count):
            if i % 2:
                streams.append(Session(self.server).listen())
            else:
                streams.append(modern(self.server, "subscriptions/listen", notifications={
                    "resourceSubscriptions": ["note://1"]}))
            self.assertEqual(streams[-1].status, 200)
        grown = self.rss() - before
        print(f"{count} idle streams: {self.rss() >> 10} KiB, {grown // count} bytes each",
              file=sys.stderr)
        self.assertLess(self.rss(), 60 << 20)
        for stream in streams:
            stream.cut()
        self.server.until(subscribers=count - count // 2)


class KeepAlive(Case):
    options = ("--keepalive-ms", 300, "--session-idle-ms", 1500)

    def test_a_silent_stream_gets_comments_and_keeps_its_session(self):
        session = Session(self.server)
        idle = Session(self.server)
        stream = session.listen()
        stream.event()
        seen = [stream._block() for _ in range(8)]
        self.assertEqual(set(seen), {": keep-alive"})
        self.assertEqual(session.post("ping").status, 200)
        self.refused(idle.post("ping"), 404)


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
