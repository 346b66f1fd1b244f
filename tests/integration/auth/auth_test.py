"""Who may call todo-mcp over HTTP: OAuth tokens of an issuer on loopback, API keys, limits, and what
is refused at the start. See tests/clients/run.sh for the interpreter that has cryptography."""

import http.client
import itertools
import json
import os
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "lib"), HERE]
import bad_tokens  # noqa: E402
from issuer import Issuer, encode  # noqa: E402
from todo_server import MODERN, Postgres, Server, server_binary, wait_for  # noqa: E402

AUDIENCE = "https://todo.example/mcp"
METADATA = "https://todo.example/.well-known/oauth-protected-resource/mcp"
BOTH = "tasks:read tasks:write"


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        text = response.read()
        self.body = json.loads(text) if text else None

    @property
    def challenge(self):
        return self.headers["WWW-Authenticate"]


class Caller:
    """One connection; `token` is what it sends as Authorization: Bearer, if any."""

    def __init__(self, server, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        self.token = token
        self.ids = itertools.count(1)

    def send(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        return Answer(self.connection.getresponse())

    def post(self, *args, **kwargs):
        self.post_only(*args, **kwargs)
        return Answer(self.connection.getresponse())

    def post_only(self, method, params=None, headers=None, path="/mcp"):
        params = {"_meta": {"io.modelcontextprotocol/protocolVersion": MODERN,
                            "io.modelcontextprotocol/clientCapabilities": {}}, **(params or {})}
        all_headers = {"Content-Type": "application/json",
                       "Accept": "application/json, text/event-stream",
                       "MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if "name" in params:
            all_headers["Mcp-Name"] = params["name"]
        if self.token:
            all_headers["Authorization"] = f"Bearer {self.token}"
        body = json.dumps({"jsonrpc": "2.0", "id": next(self.ids), "method": method,
                           "params": params})
        self.connection.request("POST", path, body, {**all_headers, **(headers or {})})

    def call(self, tool, **arguments):
        return self.post("tools/call", {"name": tool, "arguments": arguments})

    def content(self, tool, **arguments):
        answer = self.call(tool, **arguments)
        assert answer.status == 200, (answer.status, answer.body)
        return answer.body["result"]["structuredContent"]

    def status(self, **headers):
        return self.post("tools/list", headers=headers).status


    def listen(self):
        """All that a stream of notifications says until the server ends it."""
        self.post_only("subscriptions/listen", {"notifications": {"resourcesListChanged": True}})
        with self.connection.getresponse() as response:
            return response.status, response.read().decode()


class AuthTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(fsync=False)
        cls.env = {**os.environ, "DATABASE_URL": cls.postgres.url}

    @classmethod
    def tearDownClass(cls):
        cls.postgres.close()

    def setUp(self):
        self.secrets = []

    def serve(self, **env):
        """Its log must have none of the secrets at the end."""
        server = Server(self.postgres.url, {"AUTH_FAILURES_PER_MINUTE": "0", **env})

        def end():
            server.stop()
            log = "".join(server.lines)
            for secret in self.secrets:
                self.assertNotIn(secret, log)
        self.addCleanup(end)
        return server

    def issuer(self):
        issuer = Issuer()
        self.addCleanup(issuer.close)
        return issuer

    def oauth(self, issuer, **env):
        return self.serve(OAUTH_ISSUER=issuer.url, PUBLIC_URL=AUDIENCE, **env)

    def caller(self, server, token=None):
        caller = Caller(server, token)
        self.addCleanup(caller.connection.close)
        if token:
            self.secrets += [part for part in token.split(".") if len(part) > 8]
        return caller

    def token_caller(self, server, issuer, key="rsa", **changes):
        return self.caller(server, issuer.token(issuer.claims(AUDIENCE, **changes), key))

    def command(self, *words, **env):
        return subprocess.run([server_binary(), *words], env={**self.env, **env},
                              capture_output=True, text=True, timeout=60, check=False)

    def new_key(self, *flags):
        done = self.command("key", "create", "--name", "test", *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.secrets.append(done.stdout.strip())
        return done.stdout.strip(), int(done.stderr.split()[1])

    def refusals(self, server):
        return [line for line in map(json.loads, server.lines)
                if line["msg"] == "caller refused"]

    def expect_reason(self, server, reason):
        """Of the last refusal; the log may come after the answer."""
        wait_for(lambda: (self.refusals(server) or [{}])[-1].get("reason") == reason, 10,
                 f"the log line with {reason}")


class Tokens(AuthTest):
    def test_good_tokens_of_each_algorithm_are_taken(self):
        issuer = self.issuer()
        server = self.oauth(issuer)
        claims = issuer.claims(AUDIENCE)
        for token in (issuer.token(claims), issuer.token(claims, alg="PS256"),
                      issuer.token(claims, "ec"),
                      issuer.token(claims, header={"alg": "RS256", "typ": "JWT"}),
                      issuer.token({**claims, "aud": ["x", AUDIENCE], "exp": time.time() + 9.5})):
            self.assertEqual(self.caller(server, token).status(), 200)
            self.assertEqual(self.caller(server, token).status(), 200)

    def test_each_bad_token_is_refused_for_its_own_reason_and_not_logged(self):
        issuer = self.issuer()
        server = self.oauth(issuer)
        self.assertEqual(self.token_caller(server, issuer).status(), 200)
        cases = bad_tokens.all_of(issuer, AUDIENCE)
        self.assertGreaterEqual(len(cases), 40)
        self.assertGreaterEqual(len({reason for _, _, reason in cases}), 30)
        for count, (what, token, reason) in enumerate(cases, 1):
            with self.subTest(what):
                answer = self.caller(server, token).post("tools/list")
                self.assertEqual(answer.status, 401)
                self.assertIn('error="invalid_token"', answer.challenge)
                self.assertIn(f'resource_metadata="{METADATA}"', answer.challenge)
                wait_for(lambda n=count: len(self.refusals(server)) >= n, 10, "the log line")
                self.assertEqual(self.refusals(server)[-1]["reason"], reason)
        self.assertEqual(self.token_caller(server, issuer).status(), 200)
        self.assertNotIn("/realms/todo/evil", issuer.requests)

    def test_no_credentials_are_told_where_to_get_some(self):
        issuer = self.issuer()
        server = self.oauth(issuer)
        answer = self.caller(server).post("tools/list")
        self.assertEqual(answer.status, 401)
        self.assertNotIn("error", answer.challenge)
        self.assertIn(f'scope="{BOTH}"', answer.challenge)
        self.assertIn(f'resource_metadata="{METADATA}"', answer.challenge)
        for path in ("", "/mcp"):
            answer = self.caller(server).send(
                "GET", f"/.well-known/oauth-protected-resource{path}")
            self.assertEqual(answer.status, 200)
            self.assertEqual(answer.body["resource"], AUDIENCE)
            self.assertEqual(answer.body["authorization_servers"], [issuer.url])
            self.assertEqual(answer.body["scopes_supported"], BOTH.split())

    def test_credentials_count_in_one_authorization_header_only(self):
        issuer = self.issuer()
        server = self.oauth(issuer)
        token = issuer.token(issuer.claims(AUDIENCE))
        nobody = self.caller(server)
        self.secrets.append(token)
        self.assertEqual(nobody.post("tools/list", path=f"/mcp?access_token={token}").status, 401)
        self.assertEqual(nobody.status(Authorization=f"Basic {token}"), 401)
        self.assertEqual(nobody.status(Authorization="Bearer"), 401)
        self.assertEqual(nobody.status(Authorization=f"Bearer {token} x"), 401)
        self.assertEqual(nobody.status(Authorization=f"bearer {token}"), 200)
        nobody.connection.putrequest("POST", "/mcp")
        for _ in range(2):
            nobody.connection.putheader("Authorization", f"Bearer {token}")
        nobody.connection.putheader("Content-Length", "0")
        nobody.connection.endheaders()
        self.assertEqual(nobody.connection.getresponse().status, 401)

    def test_a_missing_scope_answers_403_with_all_that_is_needed(self):
        issuer = self.issuer()
        server = self.oauth(issuer)
        reader = self.token_caller(server, issuer, scope="openid tasks:read")
        self.assertEqual(reader.call("list_tasks").status, 200)
        self.assertEqual(self.refusals(server), [])
        answer = reader.call("add_task", title="x")
        self.assertEqual(answer.status, 403)
        self.assertIn('error="insufficient_scope"', answer.challenge)
        self.assertIn(f'scope="{BOTH}"', answer.challenge)
        self.assertIn(f'resource_metadata="{METADATA}"', answer.challenge)
        self.expect_reason(server, "scope_missing")
        stepped_up = self.token_caller(server, issuer)
        self.assertEqual(stepped_up.call("add_task", title="x").status, 200)
        self.assertEqual(self.token_caller(server, issuer, scope=None).call("list_tasks").status,
                         403)

    def test_the_subject_is_the_user(self):
        issuer = self.issuer()
        server = self.oauth(issuer)
        alice = self.token_caller(server, issuer, sub="alice of this test")
        bob = self.token_caller(server, issuer, sub="bob of this test")
        task = alice.content("add_task", title="hers")
        self.assertEqual(bob.content("list_tasks")["tasks"], [])
        for answer in (bob.call("get_task", task_id=task["id"]),
                       bob.call("update_task", task_id=task["id"], title="his"),
                       bob.call("delete_task", task_id=task["id"])):
            self.assertEqual(answer.body["result"]["structuredContent"]["code"], "not_found")
        self.assertEqual(alice.content("get_task", task_id=task["id"])["title"], "hers")

    def test_a_verified_email_address_is_the_users(self):
        issuer = self.issuer()
        server = self.oauth(issuer)

        def stored(subject, **claims):
            self.token_caller(server, issuer, sub=subject, **claims).content("list_tasks")
            return self.postgres.value(
                f"select coalesce(email, '-') from todo.users where subject = '{subject}'")
        self.assertEqual(stored("carol", email="c@example.org", email_verified=True),
                         "c@example.org")
        self.assertEqual(stored("dave", email="d@example.org"), "-")
        self.assertEqual(stored("erin", email="e@example.org\r\nBcc: x@y", email_verified=True),
                         "-")
        server = self.oauth(issuer)  # that remembers nobody
        self.assertEqual(stored("carol"), "c@example.org")
        server = self.oauth(issuer)
        self.assertEqual(stored("carol", email="new@example.org", email_verified=True),
                         "new@example.org")

    def test_a_stream_ends_with_its_token(self):
        issuer = self.issuer()
        server = self.oauth(issuer)
        caller = self.token_caller(server, issuer, exp=time.time() - 57)  # clocks may differ by 60
        status, heard = caller.listen()
        self.assertEqual(status, 200)
        self.assertIn('"complete"', heard)
        self.assertEqual(caller.status(), 401)

    def test_a_session_is_its_users_alone(self):
        issuer = self.issuer()
        server = self.oauth(issuer)
        alice = self.token_caller(server, issuer, sub="alice")
        bob = self.token_caller(server, issuer, sub="bob")

        def post(caller, body, **headers):
            return caller.send("POST", "/mcp", json.dumps({"jsonrpc": "2.0", **body}), {
                "Content-Type": "application/json", "Authorization": f"Bearer {caller.token}",
                "Accept": "application/json, text/event-stream", **headers})
        opened = post(alice, {"id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}}})
        session = {"Mcp-Session-Id": opened.headers["Mcp-Session-Id"],
                   "MCP-Protocol-Version": "2025-11-25"}
        post(alice, {"method": "notifications/initialized"}, **session)
        listing = {"id": 2, "method": "tools/list"}
        self.assertEqual(post(alice, listing, **session).status, 200)
        self.assertEqual(post(bob, listing, **session).status, 404)


class Keys(AuthTest):
    def test_a_new_key_of_the_issuer_is_found_and_an_old_one_ends(self):
        issuer = self.issuer()
        server = self.oauth(issuer)
        old = self.token_caller(server, issuer)
        self.assertEqual(old.status(), 200)
        issuer.published.append("new")
        self.assertEqual(self.token_caller(server, issuer, "new").status(), 200)
        self.assertEqual(old.status(), 200)
        issuer.published = ["new"]
        nobodys = issuer.token(issuer.claims(AUDIENCE),
                               header={"alg": "RS256", "kid": "nobody's"})
        self.assertEqual(self.caller(server, nobodys).status(), 401)  # makes it look
        self.assertEqual(old.status(), 401)

    def test_an_issuer_that_is_down_takes_nothing_away(self):
        issuer = self.issuer()
        server = self.oauth(issuer)
        self.assertEqual(self.token_caller(server, issuer).status(), 200)
        issuer.is_down = True
        self.assertEqual(self.token_caller(server, issuer, "new").status(), 401)
        self.assertEqual(self.token_caller(server, issuer, sub="bob").status(), 200)

    def test_a_server_that_starts_before_its_issuer_waits_for_it(self):
        issuer = self.issuer()
        issuer.is_down = True
        server = self.oauth(issuer)
        caller = self.token_caller(server, issuer)
        answer = caller.post("tools/list")
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.headers["Retry-After"], "2")
        issuer.is_down = False
        wait_for(lambda: caller.status() == 200, 30, "the issuer's keys")

    def test_a_server_stops_while_its_issuer_does_not_answer(self):
        issuer = self.issuer()
        issuer.answer = lambda handler: time.sleep(3)  # longer than the server needs to stop
        server = self.oauth(issuer)
        caller = self.token_caller(server, issuer)
        caller.connection.putrequest("POST", "/mcp")
        caller.connection.putheader("Authorization", f"Bearer {caller.token}")
        caller.connection.putheader("Content-Length", "0")
        caller.connection.endheaders()
        for _ in range(3):  # answered later than our request is read
            self.assertEqual(self.caller(server).send("GET", "/healthz").status, 200)
        server.process.terminate()
        self.assertEqual(caller.connection.getresponse().status, 503)
        self.assertEqual(server.process.wait(30), 0)


class ApiKeys(AuthTest):
    def test_a_key_is_shown_once_and_stored_hashed(self):
        key, key_id = self.new_key("--user", "alice")
        self.assertRegex(key, r"^todo_[A-Za-z0-9_-]{43}$")
        self.assertEqual(self.postgres.value(
            f"select key_hash = sha256('{key}') from todo.api_keys where id = {key_id}"), "t")
        listed = self.command("key", "list").stdout
        self.assertIn(f"{key_id}\ttest\talice\t{BOTH}", listed)
        self.assertNotIn(key, listed)

    def test_a_key_is_its_users_and_has_its_scopes(self):
        key, key_id = self.new_key("--user", "keyed")
        reading, _ = self.new_key("--user", "keyed", "--scopes", "tasks:read")
        server = self.serve(API_KEYS="true")
        caller = self.caller(server, key)
        task = caller.content("add_task", title="by key")
        reader = self.caller(server, reading)
        self.assertEqual(reader.content("get_task", task_id=task["id"])["title"], "by key")
        answer = reader.call("delete_task", task_id=task["id"])
        self.assertEqual(answer.status, 403)
        self.assertIn(f'error="insufficient_scope", scope="{BOTH}"', answer.challenge)
        used = f"select last_used_at is not null from todo.api_keys where id = {key_id}"
        wait_for(lambda: self.postgres.value(used) == "t", 10, "the note of its use")

    def test_wrong_keys_are_refused(self):
        key, _ = self.new_key()
        server = self.serve(API_KEYS="true")
        swapped = key[:-1] + ("A" if key[-1] != "A" else "B")
        for wrong in (swapped, key + "x", key[:-1], "todo_", key.upper().replace("TODO_", "todo_")):
            answer = self.caller(server, wrong).post("tools/list")
            self.assertEqual(answer.status, 401)
            self.assertEqual(answer.challenge, 'Bearer realm="todo", error="invalid_token"')
        answer = self.caller(server).post("tools/list")
        self.assertEqual(answer.challenge, 'Bearer realm="todo"')
        self.assertEqual(self.caller(server, "not-a-key").status(), 401)
        self.assertEqual(self.caller(server).send(
            "GET", "/.well-known/oauth-protected-resource").status, 404)

    def test_a_revoked_key_ends_within_seconds(self):
        key, key_id = self.new_key()
        server = self.serve(API_KEYS="true", RATE_LIMIT_PER_MINUTE="0")
        caller = self.caller(server, key)
        self.assertEqual(caller.status(), 200)
        done = self.command("key", "revoke", str(key_id))
        self.assertEqual(done.returncode, 0, done.stderr)
        revoked = time.monotonic()
        wait_for(lambda: caller.status() == 401, 15, "the end of the key")
        self.assertLess(time.monotonic() - revoked, 8)
        self.expect_reason(server, "api_key_revoked")
        self.assertNotIn("\t-\n", [line for line in self.command("key", "list").stdout.splitlines()
                                   if line.startswith(f"{key_id}\t")][0] + "\n")

    def test_a_key_ends_at_its_time(self):
        key, key_id = self.new_key("--expires-in", "1")
        self.postgres.query("update todo.api_keys set expires_at = now() + interval '2 s'"
                            f" where id = {key_id} returning 1")
        server = self.serve(API_KEYS="true", RATE_LIMIT_PER_MINUTE="0")
        caller = self.caller(server, key)
        listener = self.caller(server, key)
        self.assertEqual(caller.status(), 200)
        status, heard = listener.listen()
        self.assertEqual(status, 200)
        self.assertIn('"complete"', heard)
        wait_for(lambda: caller.status() == 401, 10, "the end of the key")
        self.expect_reason(server, "api_key_expired")

    def test_keys_and_tokens_of_one_subject_are_one_user(self):
        issuer = self.issuer()
        server = self.oauth(issuer, API_KEYS="true")
        key, _ = self.new_key("--user", "one and the same")
        task = self.caller(server, key).content("add_task", title="mine")
        by_token = self.token_caller(server, issuer, sub="one and the same")
        self.assertEqual(by_token.content("get_task", task_id=task["id"])["title"], "mine")

    def test_keys_are_no_credentials_where_they_are_off(self):
        key, _ = self.new_key()
        server = self.oauth(self.issuer())
        self.assertEqual(self.caller(server, key).status(), 401)
        self.expect_reason(server, "api_key_off")

    def test_commands_that_make_no_sense_are_refused(self):
        for words in (["key"], ["key", "make"], ["key", "revoke"], ["key", "revoke", "x"],
                      ["key", "create"], ["key", "create", "--name", ""],
                      ["key", "create", "--name", "a\tb"], ["key", "create", "--name", "x" * 500],
                      ["key", "create", "--name", "x", "--scopes", "tasks:all"],
                      ["key", "create", "--name", "x", "--expires-in", "-1"],
                      ["key", "list", "more"]):
            with self.subTest(words):
                done = self.command(*words)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(done.stdout, "")
        done = self.command("key", "revoke", "99999999")
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no key 99999999", done.stderr)
        self.assertEqual(self.command("key", "--help").returncode, 0)


class Limits(AuthTest):
    def test_a_user_past_the_limit_waits_and_others_do_not(self):
        issuer = self.issuer()
        server = self.oauth(issuer, RATE_LIMIT_PER_MINUTE="60", RATE_LIMIT_BURST="5")
        eager = self.token_caller(server, issuer, sub="eager")
        answers = [eager.post("tools/list") for _ in range(8)]
        self.assertEqual([a.status for a in answers[:5]], [200] * 5)
        limited = [a for a in answers if a.status == 429]
        self.assertTrue(limited)
        self.assertEqual(limited[0].headers["Retry-After"], "1")
        self.assertEqual(self.token_caller(server, issuer, sub="calm").status(), 200)
        self.assertEqual(self.token_caller(server, issuer, "ec", sub="eager").status(), 429)
        wait_for(lambda: eager.status() == 200, 10, "another token in the bucket")

    def test_an_address_that_guesses_waits_but_good_credentials_pass(self):
        key, _ = self.new_key()
        server = self.serve(API_KEYS="true", AUTH_FAILURES_PER_MINUTE="3")
        guesser = self.caller(server, "todo_guess")
        statuses = [guesser.status() for _ in range(6)]
        self.assertEqual(statuses, [401] * 3 + [429] * 3)
        retry = guesser.post("tools/list").headers["Retry-After"]
        self.assertIn(int(retry), range(1, 21))
        self.assertEqual(self.caller(server).status(), 429)

    def test_good_tokens_pass_beside_a_guesser(self):
        issuer = self.issuer()
        server = self.oauth(issuer, AUTH_FAILURES_PER_MINUTE="2")
        nobody = self.caller(server)
        self.assertEqual([nobody.status() for _ in range(3)], [401, 401, 429])
        self.assertEqual(self.token_caller(server, issuer).status(), 200)

    def test_behind_a_proxy_each_caller_has_its_own_address(self):
        server = self.serve(API_KEYS="true", AUTH_FAILURES_PER_MINUTE="1", TRUSTED_PROXIES="1")
        nobody = self.caller(server)

        def status(forwarded):
            return nobody.status(**{"X-Forwarded-For": forwarded})
        self.assertEqual(status("192.0.2.1"), 401)
        self.assertEqual(status("192.0.2.1"), 429)
        self.assertEqual(status("192.0.2.2"), 401)
        self.assertEqual(status("198.51.100.7, 192.0.2.2"), 429)  # what the caller claims is not it
        self.assertEqual(status("2001:db8:1:2::1"), 401)
        self.assertEqual(status("2001:db8:1:2:ffff::9"), 429)  # the same /64
        self.assertEqual(status("2001:db8:1:3::1"), 401)
        self.assertEqual(status("::ffff:192.0.2.3"), 401)  # IPv4 as a socket of IPv6 writes it
        self.assertEqual(status("::ffff:192.0.2.4"), 401)
        self.assertEqual(status("192.0.2.3"), 429)

    def test_at_a_socket_of_ipv6_callers_of_ipv4_are_told_apart(self):
        server = self.serve(API_KEYS="true", AUTH_FAILURES_PER_MINUTE="1", HTTP_HOST="::")

        def caller(address):
            caller = self.caller(server)
            caller.connection.source_address = (address, 0)
            return caller
        guesser = caller("127.0.0.2")
        self.assertEqual([guesser.status() for _ in range(2)], [401, 429])
        self.assertEqual(caller("127.0.0.3").status(), 401)

    def test_a_header_of_strangers_is_not_believed(self):
        server = self.serve(API_KEYS="true", AUTH_FAILURES_PER_MINUTE="1")
        nobody = self.caller(server)
        self.assertEqual(nobody.status(**{"X-Forwarded-For": "192.0.2.1"}), 401)
        self.assertEqual(nobody.status(**{"X-Forwarded-For": "192.0.2.2"}), 429)


class Start(AuthTest):
    def refused(self, *named, code=2, **env):
        done = self.command(HTTP_PORT="0", **env)
        self.assertEqual(done.returncode, code, done.stderr)
        for name in named:
            self.assertIn(name, done.stderr)

    def test_without_authentication_only_loopback_is_listened_on(self):
        for host in ("0.0.0.0", "::", "192.0.2.1"):
            self.refused("OAUTH_ISSUER", "API_KEYS=true", "127.0.0.1", HTTP_HOST=host)
        server = self.serve(HTTP_HOST="127.0.0.1")
        self.assertEqual(self.caller(server).status(), 200)

    def test_with_authentication_any_address_will_do(self):
        server = self.serve(HTTP_HOST="0.0.0.0", API_KEYS="true")
        key, _ = self.new_key()
        caller = self.caller(server, key)
        self.assertEqual(caller.status(Host="todo.example"), 200)
        self.assertEqual(self.caller(server).status(), 401)

    def test_settings_that_do_not_fit_name_what_to_set(self):
        self.refused("PUBLIC_URL", HTTP_HOST="0.0.0.0", OAUTH_ISSUER="https://issuer.example")
        self.refused("OAUTH_ISSUER", OAUTH_AUDIENCE="x")
        self.refused("OAUTH_ISSUER", "https://", code=1, OAUTH_ISSUER="http://issuer.example")
        self.refused("OAUTH_JWKS_URL", code=1, OAUTH_ISSUER="https://issuer.example",
                     OAUTH_JWKS_URL="ftp://issuer.example")
        self.refused("PUBLIC_URL", code=1, OAUTH_ISSUER="https://issuer.example",
                     PUBLIC_URL="todo.example")

    def test_on_loopback_the_endpoint_is_its_own_audience(self):
        issuer = self.issuer()
        server = self.serve(OAUTH_ISSUER=issuer.url)
        own = f"http://127.0.0.1:{server.port}/mcp"
        self.assertEqual(self.caller(server, issuer.token(issuer.claims(own))).status(), 200)
        self.assertEqual(self.token_caller(server, issuer).status(), 401)


if __name__ == "__main__":
    assert encode({}) == "e30"
    unittest.main()
