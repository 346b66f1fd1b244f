"""What the tests of the HTTP transport share: the server under test (server.c), clients of both
kinds of revision, and responses that are read event by event. The first argument names the server."""

import json
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

SERVER = sys.argv.pop(1)
MODERN, LEGACY = "2026-07-28", ("2025-11-25", "2025-06-18", "2025-03-26")


def wait_for(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the condition did not come")
        time.sleep(0.01)


def reset(sock):
    """Ends a connection so that the other side cannot take it for a half-closed one."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    sock.close()


class Server:
    def __init__(self, *options):
        self.process = subprocess.Popen([SERVER, *map(str, options)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.is_told, self.timeout = False, 20

    def term(self):
        self.is_told = True
        self.process.send_signal(signal.SIGTERM)

    def close(self):
        """Ends it; it must leave nothing behind and have reported no fault."""
        if not self.is_told:
            self.term()
        _, log = self.process.communicate(timeout=20)
        if self.process.returncode != 0 or "Sanitizer" in log or "runtime error" in log:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{log}")

    def get(self, path):
        return request(self, "GET", path).body

    def stats(self):
        return json.loads(self.get("/stats"))

    def stats_after_fault(self):
        """The fault may come as late as here."""
        while True:
            try:
                self.get("/go")
                return self.stats()
            except (ConnectionError, ValueError):
                pass

    def until(self, **counts):
        wait_for(lambda: counts.items() <= self.stats().items())


class Answer:
    """One HTTP response, read as far as is asked for."""

    def __init__(self, sock):
        self.sock, self.buffer, self.text = sock, b"", ""
        self.is_over = False
        head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        self.status = int(head[0].split(" ")[1])
        self.headers = {k.lower(): v.strip() for k, _, v in (h.partition(":") for h in head[1:-2])}
        self.is_stream = "chunked" in self.headers.get("transfer-encoding", "")
        if not self.is_stream:
            self.body = self._take(int(self.headers.get("content-length", 0))).decode()

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("closed")
        self.buffer += data

    def _until(self, mark):
        while mark not in self.buffer:
            self._fill()
        at = self.buffer.index(mark) + len(mark)
        return self._take(at)

    def _take(self, count):
        while len(self.buffer) < count:
            self._fill()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def _block(self):
        """The next block of lines up to an empty one; None at the end of the response."""
        if not self.is_stream:
            raise ValueError(f"no stream: {self.status} {self.body}")
        while "\n\n" not in self.text:
            size = int(self._until(b"\r\n"), 16)
            self.text += self._take(size + 2)[:-2].decode()
            if size == 0:
                self.is_over = True
                return None
        block, self.text = self.text.split("\n\n", 1)
        return block

    def event(self):
        """The next event as a dict of its fields; comments are passed over; None at the end."""
        while (block := self._block()) is not None:
            lines = [line for line in block.split("\n") if not line.startswith(":")]
            if lines:
                return {k: v.removeprefix(" ") for k, _, v in (x.partition(":") for x in lines)}
        return None

    def message(self):
        """The next event that has data."""
        while (event := self.event()) is not None and not event.get("data"):
            pass
        return event

    def rest(self):
        return list(iter(self.event, None))

    def json(self):
        return json.loads(self.body)

    def cut(self):
        reset(self.sock)


def request(server, method, path="/mcp", body=None, sock=None, **headers):
    sock = sock or socket.create_connection(("127.0.0.1", server.port), timeout=server.timeout)
    headers = {"Host": "127.0.0.1", **{k.replace("_", "-"): v for k, v in headers.items()}}
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
    if data:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        headers.setdefault("Accept", "application/json, text/event-stream")
    lines = [f"{method} {path} HTTP/1.1"]
    for name, value in headers.items():
        lines += [f"{name}: {v}" for v in (value if isinstance(value, list) else [value])]
    sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
    return Answer(sock)


class Session:
    """A client of a handshake revision."""

    def __init__(self, server, revision=LEGACY[0], token=None):
        self.server, self.last_id = server, 0
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.post("initialize", protocolVersion=revision,
                           capabilities={"elicitation": {}},
                           clientInfo={"name": "t", "version": "1"})
        assert answer.status == 200, answer.body
        self.id = answer.headers["mcp-session-id"]
        self.headers |= {"Mcp-Session-Id": self.id, "MCP-Protocol-Version": revision}
        assert self.tell({"method": "notifications/initialized"}).status == 202

    def tell(self, message, **headers):
        return request(self.server, "POST", body={"jsonrpc": "2.0", **message},
                       **{**self.headers, **headers})

    def post(self, method, **params):
        self.last_id += 1
        return self.tell({"id": self.last_id, "method": method, "params": params})

    def call(self, tool, **arguments):
        return self.post("tools/call", name=tool, arguments=arguments,
                         _meta={"progressToken": "p"})

    def listen(self, last=None, **headers):
        if last:
            headers["Last_Event_ID"] = last
        return request(self.server, "GET", Accept="text/event-stream",
                       **{**self.headers, **headers})

    def delete(self):
        return request(self.server, "DELETE", **self.headers)


def modern(server, method, *, mirror=True, drop=(), sock=None, headers=(), **params):
    """A stateless request."""
    params["_meta"] = {"io.modelcontextprotocol/protocolVersion": MODERN,
                       "io.modelcontextprotocol/clientCapabilities": {},
                       **params.get("_meta", {})}
    own = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    name = params.get("name") or params.get("uri") or params.get("taskId")
    if mirror and name:
        own["Mcp-Name"] = name
    own |= dict(headers)
    for header in drop:
        own.pop(header)
    return request(server, "POST", sock=sock, **own,
                   body={"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


def text_of(event):
    return json.loads(event["data"])["result"]["content"][0]["text"]


def steps(events):
    return [json.loads(e["data"])["params"]["progress"] for e in events
            if e.get("data") and '"notifications/progress"' in e["data"]]


class Case(unittest.TestCase):
    options = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.options)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def refused(self, answer, status, code=None):
        self.assertEqual(answer.status, status, getattr(answer, "body", ""))
        if code:
            self.assertEqual(answer.json()["error"]["code"], code)


class Later:
    """Runs a blocking call in a thread."""

    def __init__(self, call, *args):
        self.value = None
        self.thread = threading.Thread(target=lambda: setattr(self, "value", call(*args)))
        self.thread.start()

    def result(self):
        self.thread.join(20)
        return self.value


def swallow(call, *args):
    try:
        return call(*args)
    except (ConnectionError, TimeoutError):
        return None
