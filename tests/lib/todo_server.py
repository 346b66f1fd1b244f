"""What the Python tests and benchmarks share: a throwaway PostgreSQL cluster, a running todo-mcp,
and a plain HTTP client that speaks MCP. Standard library only."""

import contextlib
import glob
import http.client
import itertools
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

MODERN = "2026-07-28"
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26")
SKIPPED = 77  # the exit code of a test that could not be run


def server_binary():
    path = os.environ.get("TODO_MCP")
    if not path or not os.access(path, os.X_OK):
        raise SystemExit("TODO_MCP must name the todo-mcp program to test")
    return path


def wait_for(condition, seconds=30, what="condition"):
    """Waits until condition() is true; its last value is the result."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        time.sleep(0.01)


def postgres_bindir():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not found:
        raise SystemExit("PostgreSQL is missing: apt-get install postgresql")
    return found[-1]


class Postgres:
    """A cluster in a temporary directory, reached by its unix socket only."""

    def __init__(self, fsync=True, settings=()):
        self.bindir = postgres_bindir()
        self.dir = tempfile.mkdtemp(prefix="todo-pg-")
        self.as_postgres = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.dir, user.pw_uid, user.pw_gid)
            self.as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self.settings = [f"fsync={'on' if fsync else 'off'}", "listen_addresses=",
                         f"unix_socket_directories={self.dir}", "max_connections=300", *settings]
        self._run("initdb", "-D", f"{self.dir}/data", "-U", "postgres", "-A", "trust",
                  "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        self.start()
        self.url = f"postgresql:///postgres?host={self.dir}&user=postgres"

    def _run(self, tool, *args):
        return subprocess.run([*self.as_postgres, f"{self.bindir}/{tool}", *args], check=True,
                              cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def start(self):
        """As our own child: a killed one is reaped here, whatever the machine's init does."""
        with open(f"{self.dir}/log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.as_postgres, f"{self.bindir}/postgres", "-D", f"{self.dir}/data",
                 *(word for s in self.settings for word in ("-c", s))],
                cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._answers, 60, "PostgreSQL")

    def _answers(self):
        if self.process.poll() is not None:
            with open(f"{self.dir}/log", encoding="utf-8") as log:
                raise RuntimeError("PostgreSQL did not start:\n" + log.read()[-4000:])
        return subprocess.run([f"{self.bindir}/pg_isready", "-q", "-h", self.dir],
                              check=False).returncode == 0

    def stop(self, number=signal.SIGINT):
        self.process.send_signal(number)
        self.process.wait(60)

    def kill(self):
        """kill -9 of the postmaster and of each of its children, as a power cut would."""
        self.process.send_signal(signal.SIGSTOP)  # so that it forks no more while we count
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], stdout=subprocess.PIPE,
                                  text=True, check=False).stdout.split()
        for pid in [self.process.pid, *map(int, children)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(10)
        wait_for(lambda: not any(is_alive(int(p)) for p in children), 10, "the end of PostgreSQL")

    def query(self, sql, errors=None):
        """Rows of one statement, as lists of text. `errors`: where psql's words go."""
        out = subprocess.run(["psql", "-X", "-q", "-At", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d",
                              self.url, "-c", sql], check=True, stdout=subprocess.PIPE, stderr=errors,
                             text=True)
        return [line.split("\t") for line in out.stdout.splitlines()]

    def value(self, sql):
        return self.query(sql)[0][0]

    def close(self):
        with contextlib.suppress(Exception):
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.dir, ignore_errors=True)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Server:
    """A todo-mcp over HTTP on a free port. `stop` checks the exit code and the sanitizers. Without
    `url` it runs a PostgreSQL of its own."""

    def __init__(self, url, env=None, binary=None):
        self.env = {**os.environ, "HTTP_PORT": "0", "LOG_FORMAT": "json",
                    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", **(env or {})}
        self.env.pop("DATABASE_URL", None)
        if url:
            self.env["DATABASE_URL"] = url
        self.binary = binary or server_binary()
        self.port = 0
        self.lines = []
        self.start()

    def start(self):
        self.process = subprocess.Popen([self.binary], env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True)
        self.port = 0
        self.reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self.reader.start()
        wait_for(lambda: self.port or self.process.poll() is not None, 60, "the server's start")
        if not self.port:
            raise RuntimeError("the server did not start:\n" + "".join(self.lines[-20:]))

    def _read(self, process):
        for line in process.stderr:
            self.lines.append(line)
            with contextlib.suppress(ValueError):
                event = json.loads(line)
                if isinstance(event, dict) and event.get("msg") == "listening":
                    self.port = event["port"]

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(10)
        self.process.stderr.close()

    def is_running(self):
        return self.process.poll() is None

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        self.reader.join(10)
        self.process.stderr.close()
        log = "".join(self.lines)
        if code != 0 or "Sanitizer" in log or "runtime error" in log:
            raise AssertionError(f"the server ended with {code}:\n{log[-8000:]}")


class ToolError(Exception):
    """A tool result with isError; `body` is its structured error."""

    def __init__(self, body):
        super().__init__(body.get("message"))
        self.body = body


class Client:
    """One keep-alive connection that speaks the stateless revision."""

    def __init__(self, port, timeout=30):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        self.ids = itertools.count(1)
        self.response = None  # the last one, for its headers

    def request(self, method, params=None, headers=None):
        """(HTTP status, JSON body)"""
        params = dict(params or {})
        params.setdefault("_meta", {"io.modelcontextprotocol/protocolVersion": MODERN,
                                    "io.modelcontextprotocol/clientCapabilities": {}})
        body = json.dumps({"jsonrpc": "2.0", "id": next(self.ids), "method": method,
                           "params": params})
        all_headers = {"Content-Type": "application/json",
                       "Accept": "application/json, text/event-stream",
                       "MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if "name" in params:
            all_headers["Mcp-Name"] = params["name"]
        self.connection.request("POST", "/mcp", body, {**all_headers, **(headers or {})})
        self.response = self.connection.getresponse()
        text = self.response.read()
        return self.response.status, json.loads(text) if text else None

    def call(self, tool, **arguments):
        """The structured content of a tool's answer."""
        status, body = self.request("tools/call", {"name": tool, "arguments": arguments})
        if "error" in body:
            raise RuntimeError(f"{tool}: HTTP {status}: {body['error']}")
        result = body["result"]
        if result.get("isError"):
            raise ToolError(result["structuredContent"])
        return result["structuredContent"]

    def close(self):
        self.connection.close()


def exchange(port, data, seconds=10, close_write=False):
    """Sends raw bytes and returns all that comes until the peer closes or `seconds` pass."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as s:
        received = b""
        with contextlib.suppress(ConnectionError, socket.timeout):
            s.sendall(data)
            if close_write:
                s.shutdown(socket.SHUT_WR)
            while chunk := s.recv(65536):
                received += chunk
        return received
