"""MCP messages with no client in between, over HTTP and over stdio, in every revision."""

import http.client
import itertools
import json
import os
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from todo_server import MODERN  # noqa: E402

CLIENT_INFO = {"name": "wire", "version": "1"}
META = {"io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": CLIENT_INFO,
        "io.modelcontextprotocol/clientCapabilities": {}}


class Wire:
    """The life of a conversation; a subclass has `exchange(message, wants_answer)`."""

    def __init__(self):
        self.ids = itertools.count(1)
        self.revision = None

    def start(self, revision):
        """The revision that was agreed on."""
        if revision == MODERN:
            self.revision = MODERN
            versions = self.request("server/discover", {})["result"]["supportedVersions"]
            return MODERN if MODERN in versions else None
        result = self.request("initialize", {"protocolVersion": revision, "capabilities": {},
                                             "clientInfo": CLIENT_INFO})["result"]
        self.revision = result["protocolVersion"]
        self.exchange({"jsonrpc": "2.0", "method": "notifications/initialized"}, False)
        return self.revision

    def request(self, method, params):
        if self.revision == MODERN:
            params = {"_meta": META, **params}
        message = {"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params}
        answer = self.exchange(message, True)
        if answer.get("jsonrpc") != "2.0" or answer.get("id") != message["id"]:
            raise AssertionError(f"no answer to {message['id']}: {answer}")
        return answer


class HttpWire(Wire):
    def __init__(self, url):
        super().__init__()
        address = urllib.parse.urlsplit(url)
        self.path = address.path
        self.connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        self.session = None

    def exchange(self, message, wants_answer):
        headers = {"Content-Type": "application/json",
                   "Accept": "application/json, text/event-stream"}
        if self.revision:
            headers["MCP-Protocol-Version"] = self.revision
        if self.revision == MODERN:
            headers["Mcp-Method"] = message["method"]
            if "name" in message["params"]:
                headers["Mcp-Name"] = message["params"]["name"]
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        self.connection.request("POST", self.path, json.dumps(message), headers)
        response = self.connection.getresponse()
        text = response.read()
        self.session = response.getheader("Mcp-Session-Id") or self.session
        if not wants_answer:
            if response.status != 202 or text:
                raise AssertionError(f"a notification was answered by {response.status} {text}")
            return None
        if response.getheader("Content-Type") != "application/json":
            raise AssertionError(f"{response.status} {response.getheader('Content-Type')} {text}")
        return json.loads(text)

    def close(self):
        if self.session:
            self.connection.request("DELETE", self.path, headers={
                "Mcp-Session-Id": self.session, "MCP-Protocol-Version": self.revision})
            status = self.connection.getresponse().status
            if status not in (200, 204):
                raise AssertionError(f"DELETE of the session: {status}")
        self.connection.close()


class StdioWire(Wire):
    def __init__(self, target):
        super().__init__()
        self.process = subprocess.Popen([target.command, *target.args],
                                        env={**os.environ, **target.env}, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def exchange(self, message, wants_answer):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline()) if wants_answer else None

    def close(self):
        """The end of input ends the server, and nothing is left on its output."""
        self.process.stdin.close()
        rest = self.process.stdout.read()
        self.process.stdout.close()
        code = self.process.wait(30)
        if code or rest:
            raise AssertionError(f"the server ended with {code} and said {rest!r}")
