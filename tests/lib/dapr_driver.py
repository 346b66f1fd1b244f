"""Drives tests/support/dapr_driver: a client of a sidecar, its transport and an app, in a process."""

import itertools
import json
import os
import queue
import subprocess
import threading

from todo_server import wait_for

# dapr/error.h, base/error.h, events/transport.h
UNAVAILABLE, UNKNOWN, TIMEOUT, TOKEN, FORBIDDEN, NO_COMPONENT = range(-25001, -25007, -1)
REFUSED, CONFLICT, TOO_LARGE, COMPONENT, PROTOCOL = range(-25007, -25012, -1)
INVALID = -20003
ACKED, WAY_DOWN, EVENT_REFUSED = range(3)


class Driver:
    def __init__(self, sidecar_port, token="", timeout_ms=0):
        self.process = subprocess.Popen(
            [os.environ["DAPR_DRIVER"], str(sidecar_port), token, str(timeout_ms)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.answers = {}
        self.turns = []  # what was delivered, in order
        self.is_up = None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            if "n" in said:
                self.answers.pop(said["n"]).put(said)
            elif "is_up" in said:
                self.is_up = said["is_up"]
            else:
                self.turns.append(said)

    def begin(self, op, **members):
        """Starts a call; its answer comes from the queue that is returned."""
        with self.lock:
            n = next(self.numbers)
            answer = self.answers[n] = queue.Queue()
            self.process.stdin.write(json.dumps({"n": n, "op": op, **members}) + "\n")
            self.process.stdin.flush()
        return answer

    def call(self, op, seconds=60, **members):
        return self.begin(op, **members).get(timeout=seconds)

    def status(self, op, **members):
        return self.call(op, **members)["status"]

    def send(self, topic, entries):
        return [r["outcome"] for r in self.call("send", topic=topic, entries=entries)["results"]]

    def wait_turns(self, count, seconds=30):
        wait_for(lambda: len(self.turns) >= count, seconds, f"delivery {count}")
        return self.turns

    def close(self):
        """The program ends by itself and says whether its loop was empty."""
        if self.process.stdin.closed:
            return
        self.process.stdin.close()
        code = self.process.wait(30)
        self.reader.join(10)
        self.process.stdout.close()
        assert code == 0, f"the driver ended with {code}"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.process.kill()
        else:
            self.close()
