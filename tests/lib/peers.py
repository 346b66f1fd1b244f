"""A client in each revision over each transport, with one face: requests, tool calls, subscriptions
to resources, and answers to what the server asks. Standard library only.

    with connect(server, "http", MODERN) as peer:
        peer.call("add_task", title="x")
        peer.subscribe(["tasks://today"])
        wait_for(lambda: "tasks://today" in peer.heard)
"""

import contextlib
import http.client
import itertools
import json
import queue
import subprocess
import threading

from todo_server import MODERN, ToolError, wait_for

INFO = {"name": "peers", "version": "1"}
UPDATED = "notifications/resources/updated"


class RpcError(Exception):
    """A JSON-RPC error."""

    def __init__(self, error):
        super().__init__(error.get("message"))
        self.code = error["code"]
        self.data = error.get("data")


class Peer:
    """A subclass has `send(message)`, which gives the answer of a request."""

    def __init__(self, revision, answer):
        self.revision = revision
        self.answer = answer  # of elicitation/create: params -> result; None: cannot be asked
        self.ids = itertools.count(1)
        self.heard = []  # URIs of resources that were updated
        self.asked = []  # params of elicitation/create
        self.capabilities = {"elicitation": {}} if answer else {}

    def start(self):
        if self.revision == MODERN:
            return
        result = self.request("initialize", {"protocolVersion": self.revision, "clientInfo": INFO,
                                             "capabilities": self.capabilities})
        if result["protocolVersion"] != self.revision:
            raise AssertionError(f"{result['protocolVersion']} instead of {self.revision}")
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def message(self, method, params):
        if self.revision == MODERN:
            meta = {"io.modelcontextprotocol/protocolVersion": MODERN,
                    "io.modelcontextprotocol/clientInfo": INFO,
                    "io.modelcontextprotocol/clientCapabilities": self.capabilities}
            params = {"_meta": meta, **params}
        return {"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params}

    def request(self, method, params=None):
        """The result; raises RpcError. Questions of a multi-round-trip result are answered."""
        params = params or {}
        while True:
            answer = self.send(self.message(method, params))
            if "error" in answer:
                raise RpcError(answer["error"])
            result = answer["result"]
            if result.get("resultType") != "input_required":
                return result
            params = {**params, "requestState": result["requestState"], "inputResponses": {
                key: self.ask(question["params"])
                for key, question in result["inputRequests"].items()}}

    def ask(self, params):
        self.asked.append(params)
        return self.answer(params)

    def take(self, message):
        """A notification, or a request of the server's: its response, or None."""
        if message.get("method") == UPDATED:
            self.heard.append(message["params"]["uri"])
        if "id" in message and message.get("method") == "elicitation/create":
            return {"jsonrpc": "2.0", "id": message["id"], "result": self.ask(message["params"])}
        return None

    # ---- in short ---------------------------------------------------------------------------

    def call(self, tool, **arguments):
        result = self.request("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            raise ToolError(result["structuredContent"])
        return result["structuredContent"]

    def tools(self):
        return {t["name"] for t in self.request("tools/list")["tools"]}

    def read(self, uri):
        """The JSON of a resource's only content."""
        contents = self.request("resources/read", {"uri": uri})["contents"]
        if len(contents) != 1 or contents[0]["uri"] != uri:
            raise AssertionError(f"{uri}: {contents}")
        if contents[0]["mimeType"] != "application/json":
            raise AssertionError(contents[0]["mimeType"])
        return json.loads(contents[0]["text"])

    def prompt(self, name, **arguments):
        """(role, text) of each message."""
        result = self.request("prompts/get", {"name": name, "arguments": arguments})
        return [(m["role"], m["content"]["text"]) for m in result["messages"]]

    def complete(self, ref, argument, typed=""):
        ref = {"type": "ref/resource", "uri": ref} if "://" in ref else {"type": "ref/prompt",
                                                                        "name": ref}
        return self.request("completion/complete", {"ref": ref, "argument": {
            "name": argument, "value": typed}})["completion"]["values"]

    def subscribe(self, uris):
        """Returns when the server will tell."""
        for uri in uris:
            self.request("resources/subscribe", {"uri": uri})

    def wait_heard(self, *uris, seconds=10):
        wait_for(lambda: set(uris) <= set(self.heard), seconds, f"{uris} besides {self.heard}")


class HttpPeer(Peer):
    def __init__(self, port, revision, answer, headers):
        super().__init__(revision, answer)
        self.port = port
        self.headers = headers or {}
        self.session = None
        self.connections = []
        self.threads = []
        self.main = self.open()
        self.start()

    def open(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.connections.append(connection)
        return connection

    def all_headers(self, message):
        headers = {"Content-Type": "application/json",
                   "Accept": "application/json, text/event-stream", **self.headers}
        if self.session or self.revision == MODERN:
            headers["MCP-Protocol-Version"] = self.revision
        if self.revision == MODERN:
            params = message["params"]
            headers["Mcp-Method"] = message["method"]
            name = params.get("name", params.get("uri"))
            if isinstance(name, str):
                headers["Mcp-Name"] = name
        if self.session:
            headers["Mcp-Session-Id"] = self.session
        return headers

    def post(self, connection, message):
        connection.request("POST", "/mcp", json.dumps(message), self.all_headers(message))
        return connection.getresponse()

    def send(self, message):
        """Its answer, or None for what is no request."""
        response = self.post(self.main, message)
        self.session = response.getheader("Mcp-Session-Id") or self.session
        if response.getheader("Content-Type") == "text/event-stream":
            answer = None
            for event in events_of(response):
                if "method" in event:
                    self.respond(event)
                else:
                    answer = event
            return answer
        text = response.read()
        return json.loads(text) if text else None

    def respond(self, message):
        response = self.take(message)
        if response:
            connection = self.open()
            status = self.post(connection, response).status
            if status != 202:
                raise AssertionError(f"a response was answered by {status}")

    def listen(self, response, started):
        try:
            for event in events_of(response):
                started.set()
                self.respond(event)
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            pass  # closed by us or by the server's end

    def hear(self, response):
        started = threading.Event()
        thread = threading.Thread(target=self.listen, args=(response, started), daemon=True)
        thread.start()
        self.threads.append(thread)
        return started

    def subscribe(self, uris):
        connection = self.open()
        if self.revision == MODERN:
            message = self.message("subscriptions/listen", {
                "notifications": {"resourceSubscriptions": uris}})
            if not self.hear(self.post(connection, message)).wait(10):
                raise AssertionError("the subscription was not acknowledged")
            return
        connection.request("GET", "/mcp", headers=self.all_headers(None))
        self.hear(connection.getresponse())
        super().subscribe(uris)

    def close(self):
        for connection in self.connections:
            if connection.sock:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(2)
            connection.close()


def events_of(response):
    """The messages of a stream of server-sent events."""
    data = []
    while line := response.readline():
        line = line.decode().rstrip("\r\n")
        if line.startswith("data:") and line[5:].strip():
            data.append(line[5:])
        elif not line and data:
            yield json.loads("\n".join(data))
            data = []


class StdioPeer(Peer):
    def __init__(self, server, revision, answer):
        super().__init__(revision, answer)
        self.answers = queue.Queue()
        self.acknowledged = threading.Event()
        self.process = subprocess.Popen([server.binary, "--stdio"], env=server.env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.log = []
        self.threads = [threading.Thread(target=target, daemon=True)
                        for target in (self.listen, self.read_log)]
        for thread in self.threads:
            thread.start()
        self.start()

    def read_log(self):
        self.log += self.process.stderr

    def write(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def listen(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if "method" not in message:
                self.answers.put(message)
            elif message["method"] == "notifications/subscriptions/acknowledged":
                self.acknowledged.set()
            elif response := self.take(message):
                self.write(response)

    def send(self, message):
        self.write(message)
        return self.answers.get(timeout=60) if "id" in message else None

    def subscribe(self, uris):
        if self.revision != MODERN:
            super().subscribe(uris)
            return
        self.write(self.message("subscriptions/listen", {
            "notifications": {"resourceSubscriptions": uris}}))
        if not self.acknowledged.wait(10):
            raise AssertionError("the subscription was not acknowledged")

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(60)
        for thread in self.threads:
            thread.join(10)
        log = "".join(self.log)
        if code or "Sanitizer" in log or "runtime error" in log:
            raise AssertionError(f"the server ended with {code}:\n{log[-8000:]}")
        self.process.stdout.close()
        self.process.stderr.close()


@contextlib.contextmanager
def connect(server, transport="http", revision=MODERN, answer=None, headers=None):
    """Over stdio a process of its own with the server's environment."""
    peer = (StdioPeer(server, revision, answer) if transport == "stdio"
            else HttpPeer(server.port, revision, answer, headers))
    with contextlib.closing(peer):
        yield peer
