"""A worker program of ours (todo-notification, todo-email, todo-recurring), from the build that has
the todo-mcp of TODO_MCP."""

import json
import os
import re
import urllib.request

from .dapr import http_status
from .process import Process


def worker_binary(name):
    build = os.path.dirname(os.path.dirname(os.path.abspath(os.environ["TODO_MCP"])))
    path = os.path.join(build, name, name)
    if not os.access(path, os.X_OK):
        raise SystemExit(f"{path} is missing: build it first")
    return path


class Worker(Process):
    """`settings`: its environment. What the machine's own environment says of a database, broker or
    sidecar is not meant for it."""

    port_names = ("http",)

    def __init__(self, program, settings=None, **kwargs):
        super().__init__(**kwargs)
        self.name, self.binary = program, worker_binary(program)
        ours = re.compile("(DATABASE_URL|USE_DAPR|DAPR_|APP_API|KAFKA_|SMTP_|REMINDER_)")
        self.env = {**{key: "" for key in os.environ if ours.match(key)},
                    "HTTP_PORT": str(self.port), "LOG_FORMAT": "json",
                    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", **(settings or {})}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def command(self):
        return [self.binary]

    def is_ready(self):
        return http_status(f"{self.url}/readyz") == 200

    def is_healthy(self):
        return http_status(f"{self.url}/healthz") == 200

    def metrics(self):
        """{'name{label="value"}': number}"""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in lines if line and not line.startswith("#")}

    def lines(self):
        """Its log: the lines that are JSON objects."""
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return [json.loads(line) for line in f if line.startswith("{")]

    def end(self):
        """SIGTERM; fails unless it drains, ends with 0 and pleases the sanitizers."""
        process = self.process
        self.stop()
        with open(self.log, encoding="utf-8", errors="replace") as f:
            log = f.read()
        if process.returncode != 0 or "Sanitizer" in log or "runtime error" in log:
            raise AssertionError(f"{self.name} ended with {process.returncode}:\n{log[-8000:]}")
