"""Requests over HTTP from outside: callers that are asked who they are, sessions of another
principal, mirrored headers, failing allocations, the end with calls in flight.
Usage: requests_test.py SERVER [TEST…]"""

import json
import signal
import socket
import unittest

from client import (LEGACY, MODERN, Answer, Case, Later, Server, Session, modern, request, reset,
                    swallow, text_of)

MISMATCH = -32020


class Principals(Case):
    options = ("--auth",)

    def test_callers_without_a_name_are_refused(self):
        for headers in ({}, {"Authorization": "Basic x"}, {"Authorization": "Bearer bad"}):
            for method in ("POST", "GET", "DELETE"):
                answer = request(self.server, method, body={"a": 1} if method == "POST" else None,
                                 Accept="application/json, text/event-stream", **headers)
                self.refused(answer, 401)
                self.assertEqual(answer.headers["www-authenticate"], "Bearer")
                self.assertNotIn("id", answer.json())
        self.assertEqual(request(self.server, "OPTIONS").status, 204)

    def test_host_and_origin_come_first(self):
        self.refused(request(self.server, "GET", Origin="https://evil.example"), 403)
        self.refused(request(self.server, "GET", Host="evil.example"), 403)

    def test_a_session_does_not_exist_for_another_principal(self):
        ada, bob = Session(self.server, token="ada"), Session(self.server, token="bob")
        stolen = {"Mcp-Session-Id": ada.id}
        stream = ada.listen()
        first = stream.event()["id"]
        self.refused(bob.tell({"id": 1, "method": "ping"}, **stolen), 404)
        self.refused(bob.listen(**stolen), 404)
        self.refused(bob.listen(first, **stolen), 404)
        self.refused(request(self.server, "DELETE", **{**bob.headers, **stolen}), 404)
        self.assertEqual(ada.post("ping").status, 200)
        self.assertEqual(text_of({"data": ada.call("echo").body}), "ada")

    def test_a_stream_ends_with_the_credential_that_opened_it(self):
        brief, ada = Session(self.server, token="brief-ada"), Session(self.server, token="ada")
        ada.post("resources/subscribe", uri="note://1")
        lasting, ending = ada.listen(), brief.listen()
        lasting.event()
        first = ending.event()["id"]
        self.assertEqual(ending.rest(), [])
        self.assertEqual(brief.listen(first).status, 200, "a new credential goes on with it")
        self.server.get("/touch?1")
        self.assertIn("updated", lasting.message()["data"])

    def test_a_subscription_ends_with_its_credential(self):
        lasting, ending = (modern(self.server, "subscriptions/listen",
                                  headers={"Authorization": f"Bearer {token}"},
                                  notifications={"resourceSubscriptions": ["note://1"]})
                           for token in ("ada", "brief-ada"))
        self.assertIn("acknowledged", lasting.message()["data"])
        self.assertIn("acknowledged", ending.message()["data"])
        self.assertIn('"complete"', ending.message()["data"])
        self.assertIsNone(ending.event())
        self.server.get("/touch?1")
        self.assertIn("updated", lasting.message()["data"])

    def test_each_request_has_its_own_identity(self):
        for name in ("ada", "bob"):
            answer = modern(self.server, "tools/call", name="echo", arguments={},
                            headers={"Authorization": f"Bearer {name}"})
            self.assertEqual(text_of({"data": answer.body}), name)

    def test_a_caller_is_waited_for(self):
        later = Later(lambda: modern(self.server, "tools/call", name="echo", arguments={},
                                      headers={"Authorization": "Bearer slow-ada"}))
        self.server.until(slow=1)
        self.server.get("/admit")
        self.assertEqual(text_of({"data": later.result().body}), "ada")

    def test_a_client_that_does_not_wait_for_its_admission_starts_nothing(self):
        opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": LEGACY[0], "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}}}
        for body in (json.dumps(opening).encode(), b""):
            sock = socket.create_connection(("127.0.0.1", self.server.port))
            sock.sendall(b"%s /mcp HTTP/1.1\r\nHost: localhost\r\n"
                         b"Authorization: Bearer slow-eve\r\n"
                         b"Accept: application/json, text/event-stream\r\n"
                         b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                         % (b"POST" if body else b"GET", len(body), body))
            self.server.until(slow=1)
            sessions = self.server.stats()["sessions"]
            reset(sock)
            self.server.stats()
            self.server.get("/admit")
            self.assertEqual(self.server.stats()["sessions"], sessions)

    def test_the_scopes_held_and_missing_are_named_in_a_challenge(self):
        answer = modern(self.server, "tools/call", name="admin", arguments={},
                        headers={"Authorization": "Bearer ada"})
        self.refused(answer, 403)
        self.assertIn('scope="3"', answer.headers["www-authenticate"])

    def test_the_identity_outlives_the_connection_of_a_call(self):
        session = Session(self.server, token="ada")
        stream = session.call("hold", count=1)
        event = stream.message()
        stream.cut()
        self.server.stats()
        self.server.get("/go")
        self.assertEqual([text_of(e) for e in session.listen(event["id"]).rest()], ["ada"])


class Mirrors(Case):
    def call(self, headers=(), drop=(), **arguments):
        return modern(self.server, "tools/call", name="echo", arguments=arguments, headers=headers,
                      drop=drop)

    def test_headers_that_say_what_the_body_says_pass(self):
        for headers, arguments in (
                ({}, {}),
                ({}, {"region": None, "at": {"city": None}}),
                ({"Mcp-Param-Region": "us"}, {"region": "us"}),
                ({"mcp-param-region": "  us  "}, {"region": "us"}),
                ({"Mcp-Param-Region": "=?base64?SGVsbG8sIOS4lueVjA==?="},
                 {"region": "Hello, 世界"}),
                ({"Mcp-Param-Region": "=?base64??="}, {"region": ""}),
                ({"Mcp-Param-Region": "=?base64?SGVsbG8="}, {"region": "=?base64?SGVsbG8="}),
                ({"Mcp-Param-Size": "42"}, {"size": 42}),
                ({"Mcp-Param-Size": "42.0"}, {"size": 42}),
                ({"Mcp-Param-Size": "-7"}, {"size": -7}),
                ({"Mcp-Param-Size": "9007199254740991"}, {"size": 9007199254740991}),
                ({"Mcp-Param-Fast": "false"}, {"fast": False}),
                ({"Mcp-Param-City": "Rome"}, {"at": {"city": "Rome"}}),
                ({"Mcp-Param-Unknown": "x"}, {})):
            with self.subTest(headers=headers):
                answer = self.call(headers, **arguments)
                self.assertEqual(answer.status, 200, answer.body)
                self.assertNotIn("error", answer.json())

    def test_headers_that_say_something_else_are_refused(self):
        for headers, arguments in (
                ({}, {"region": "us"}),
                ({}, {"region": ""}),
                ({}, {"fast": False}),
                ({}, {"size": 0}),
                ({}, {"at": {"city": "Rome"}}),
                ({"Mcp-Param-Region": "us"}, {}),
                ({"Mcp-Param-Region": "us"}, {"region": None}),
                ({"Mcp-Param-City": "Rome"}, {"at": {}}),
                ({"Mcp-Param-Region": "US"}, {"region": "us"}),
                ({"Mcp-Param-Region": ["us", "us"]}, {"region": "us"}),
                ({"Mcp-Param-Region": "=?base64?SGVsbG8?="}, {"region": "Hello"}),
                ({"Mcp-Param-Region": "=?base64?SGVs!!!bG8=?="}, {"region": "Hello"}),
                ({"Mcp-Param-Region": "=?BASE64?SGVsbG8=?="}, {"region": "Hello"}),
                ({"Mcp-Param-Region": "caf\u00e9"}, {"region": "café"}),
                ({"Mcp-Param-Size": "43"}, {"size": 42}),
                ({"Mcp-Param-Size": "42x"}, {"size": 42}),
                ({"Mcp-Param-Size": "0x2a"}, {"size": 42}),
                ({"Mcp-Param-Size": ""}, {"size": 0}),
                ({"Mcp-Param-Size": "nan"}, {"size": 0}),
                ({"Mcp-Param-Size": "9007199254740993"}, {"size": 9007199254740992}),
                ({"Mcp-Param-Fast": "False"}, {"fast": False}),
                ({"Mcp-Param-Fast": "0"}, {"fast": False}),
                ({"Mcp-Name": "hold"}, {}),
                ({"Mcp-Name": ["echo", "echo"]}, {}),
                ({"Mcp-Method": "tools/list"}, {}),
                ({"Mcp-Method": "TOOLS/CALL"}, {}),
                ({"Mcp-Method": "=?base64?dG9vbHMvY2FsbA==?="}, {}),
                ({"MCP-Protocol-Version": "2025-11-25"}, {})):
            with self.subTest(headers=headers, arguments=arguments):
                self.refused(self.call(headers, **arguments), 400, MISMATCH)
        for drop in ("Mcp-Name", "Mcp-Method", "MCP-Protocol-Version"):
            with self.subTest(drop=drop):
                self.refused(self.call(drop=(drop,)), 400, MISMATCH)

    def test_the_name_of_a_task_is_its_id(self):
        for method in ("tasks/get", "tasks/update", "tasks/cancel"):
            for headers in ({"Mcp-Name": "b"}, {"Mcp-Name": ["a", "a"]}):
                answer = modern(self.server, method, taskId="a", headers=headers)
                self.refused(answer, 400, MISMATCH)
            answer = modern(self.server, method, taskId="a", drop=("Mcp-Name",))
            self.refused(answer, 400, MISMATCH)
            answer = modern(self.server, method, taskId="a")
            self.assertNotEqual(answer.json()["error"]["code"], MISMATCH)

    def test_trailers_are_no_headers(self):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientCapabilities": {}}}})
        sock = socket.create_connection(("127.0.0.1", self.server.port), timeout=20)
        sock.sendall((f"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                      f"MCP-Protocol-Version: {MODERN}\r\nTransfer-Encoding: chunked\r\n\r\n"
                      f"{len(body):x}\r\n{body}\r\n0\r\nMcp-Method: tools/list\r\n\r\n").encode())
        self.refused(Answer(sock), 400, MISMATCH)


class Crowds(Case):
    options = ("--sessions-max", 3)

    def test_the_longest_idle_session_makes_room(self):
        sessions = [Session(self.server) for _ in range(3)]
        stream = sessions[1].listen()
        stream.event()
        sessions[0].post("ping")
        sessions += [Session(self.server)]
        self.assertEqual([s.post("ping").status for s in sessions], [200, 200, 404, 200])


class CrowdsOfOne(Case):
    options = ("--auth", "--sessions-max", 3)

    def test_a_caller_crowds_out_its_own_sessions_and_no_other_s(self):
        ada = Session(self.server, token="ada")
        bobs = [Session(self.server, token="bob") for _ in range(5)]
        self.assertEqual(ada.post("ping").status, 200)
        self.assertEqual([s.post("ping").status for s in bobs], [404] * 3 + [200] * 2)


class Memory(Case):
    options = ("--auth", "--sessions-max", 1)  # so that rounds leave nothing for the next one

    def scenario(self):
        """What allocates: sessions, streams, logs, replays, subscriptions, admissions."""
        ada = {"Authorization": "Bearer ada"}
        modern(self.server, "subscriptions/listen", headers=ada,
               notifications={"resourceSubscriptions": ["note://1"]}).event()
        modern(self.server, "tools/call", name="hold", arguments={"count": 1}, headers=ada,
               _meta={"progressToken": 1}).event()
        session = Session(self.server, token="ada")
        self.assertIn('"result"', session.post("resources/subscribe", uri="note://1").body)
        listening = session.listen()
        last = listening.event()["id"]
        stream = session.call("hold", count=2)
        first = stream.event()["id"]
        stream.cut()
        self.server.get("/touch")
        self.server.get("/go")
        session.listen(first).rest()
        listening.cut()
        session.listen(last).event()
        session.delete()

    def test_the_server_outlives_any_failed_allocation(self):
        for nth in range(1, 2000):
            self.server.get(f"/fail?{nth}")
            self.server.timeout = 0.6  # more than the server takes to accept again
            try:
                self.scenario()
            except (OSError, AssertionError, TypeError, KeyError, ValueError):
                pass
            self.server.timeout = 20
            if not self.server.stats_after_fault()["failed"]:
                self.assertGreater(nth, 100)
                return
        self.fail("allocations go on failing")


class TheEnd(unittest.TestCase):
    def test_streams_end_and_calls_are_answered(self):
        server = Server("--auth")
        session = Session(server, token="ada")
        listening = session.listen()
        stream = session.call("hold", count=1)
        stream.message()
        quiet = Later(session.call, "hold")
        auth = {"Authorization": "Bearer ada"}
        plain = modern(server, "tools/call", name="hold", arguments={"count": 1}, headers=auth,
                       _meta={"progressToken": 1})
        subscription = modern(server, "subscriptions/listen", headers=auth,
                              notifications={"resourceSubscriptions": ["note://1"]})
        server.until(held=3, subscribers=2)
        server.term()
        self.assertEqual(len(listening.rest()), 1)
        self.assertIn('"resultType":"complete"', subscription.rest()[-1]["data"])
        server.process.send_signal(signal.SIGUSR1)
        self.assertEqual(text_of(stream.rest()[-1]), "ada")
        self.assertEqual(text_of(plain.rest()[-1]), "ada")
        self.assertEqual(text_of({"data": quiet.result().body}), "ada")
        server.close()

    def test_calls_without_an_end_are_cut_when_the_drain_is_over(self):
        server = Server()
        session = Session(server)
        streams = [session.call("hold", count=1), modern(
            server, "tools/call", name="hold", arguments={"count": 1}, _meta={"progressToken": 1})]
        broken = session.call("hold", count=1)
        broken.message()
        broken.cut()
        quiet = Later(lambda: swallow(session.call, "hold"))
        server.until(held=4)
        server.term()
        server.close()
        for stream in streams:
            self.assertRaises((ConnectionError, TimeoutError), stream.rest)
        quiet.result()

    def test_a_caller_who_is_waited_for_does_not_hold_up_the_end(self):
        server = Server("--auth")
        later = Later(lambda: swallow(lambda: modern(server, "tools/list", headers={
            "Authorization": "Bearer slow-ada"})))
        server.until(slow=1)
        server.close()
        later.result()


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
