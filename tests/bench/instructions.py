"""Counts the instructions that a call costs the server and an event the relay, under callgrind, and
holds them against the record, instructions.json: more than 10 % above it is a failure. Counts are
repeatable where times are not; see docs/benchmarks.md for their spread.

usage: ./todo bench instructions [--write] [--keep FOLDER]
  --write  renew the record
  --keep   where the dumps go, for callgrind_annotate"""

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from callgrind import Callgrind  # noqa: E402
from sink import Sink  # noqa: E402
from todo_server import MODERN, server_binary  # noqa: E402
from world import World  # noqa: E402

RECORD = os.path.join(os.path.dirname(__file__), "instructions.json")
GROWTH_MAX = 0.10
WARM, CALLS = 20, 100
# Between calls that write: one NOTIFY each, of which the server sends at most one in 5 ms.
PAUSE_S = 0.02
# Reads first: what is written after them is no part of what they find.
READS = ("get_task", "list_tasks", "search_tasks")
WRITES = ("add_task", "complete_task")
# The next event comes when the one before is marked, and the relay has had the time to see that.
PUBLISH = """do $$ declare started timestamptz := clock_timestamp(); begin
    for n in 1..{count} loop
        insert into todo.outbox (id, key, topic, type, data) values
            (todo.uuid_v7(), n, 'task-events', 'TaskUpdatedEvent',
             jsonb_build_object('n', 1, 'fill', repeat('x', 70)));
        notify todo_outbox;
        commit;
        while exists (select from todo.outbox where published_at is null) loop
            perform pg_sleep(0.001);
            assert clock_timestamp() < started + '60 s', 'the relay is at a standstill';
        end loop;
        perform pg_sleep({pause});
    end loop;
end $$"""
HEAD = ("POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: {}\r\n"
        "Mcp-Method: tools/call\r\nMcp-Name: {}\r\nContent-Length: {}\r\n\r\n")


class Connection:
    """Sends a request in one piece, as http.client does not: how it comes in is part of the count."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)

    def call(self, tool, message):
        body = message.encode()
        self.socket.sendall(HEAD.format(MODERN, tool, len(body)).encode() + body)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._receive()
        length = int(re.search(rb"(?i)content-length: (\d+)", answer[:end]).group(1))
        while len(answer) < end + 4 + length:
            answer += self._receive()
        if b'"structuredContent"' not in answer or b'"isError":true' in answer:
            raise RuntimeError(f"{tool}: {answer.decode()}")

    def _receive(self):
        chunk = self.socket.recv(65536)
        if not chunk:
            raise RuntimeError("the server closed the connection")
        return chunk

    def close(self):
        self.socket.close()


class Counter:
    def __init__(self, keep):
        self.keep = keep
        self.counts = {}
        if keep:
            os.makedirs(keep, exist_ok=True)

    def counted(self, callgrind, pid, name, count, work):
        """`work` once, as `count` calls."""
        callgrind.zero(pid)
        work()
        keep = self.keep and os.path.join(self.keep, f"callgrind.{name}")
        spent = callgrind.count(pid, keep)
        self.counts[name] = {
            "all": round(sum(spent.values()) / count),
            **{file: round(cost / count) for file, cost in
               sorted(spent.items(), key=lambda item: -item[1]) if cost >= count}}

    def tools(self):
        with contextlib.ExitStack() as stack:
            callgrind = stack.enter_context(contextlib.closing(Callgrind(server_binary())))
            # One connection to the database; events are counted by themselves.
            world = World(env={"POOL_SIZE": "1", "RELAY": "false"}, binary=callgrind.wrapper)
            stack.callback(world.close)
            world.seed()
            connection = stack.enter_context(contextlib.closing(Connection(world.server.port)))
            open_tasks = (int(row[0]) for row in world.postgres.query(
                f"select id from todo.tasks where user_id = {world.user_id} order by id"))

            def calls(tool, count):
                for _ in range(count):
                    more = {"task_id": next(open_tasks)} if tool == "complete_task" else None
                    connection.call(tool, world.message(tool, arguments=more))
                    if tool in WRITES:
                        time.sleep(PAUSE_S)

            for tool in (*READS, *WRITES):
                calls(tool, WARM)
                self.counted(callgrind, world.server.process.pid, tool, CALLS,
                             lambda tool=tool: calls(tool, CALLS))

    def relay(self):
        """Events that are posted to a subscriber, each by itself: what goes together, be it a read,
        a post or a mark, is a matter of time."""
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(contextlib.closing(Sink()))
            callgrind = stack.enter_context(contextlib.closing(Callgrind(server_binary())))
            world = World(env={"RELAY": "false"})
            stack.callback(world.close)
            process = subprocess.Popen(
                [callgrind.wrapper, "relay"], stdin=subprocess.DEVNULL,
                env={**world.server.env, "RELAY": "true", "LOG_LEVEL": "warn",
                     "EVENT_SUBSCRIBERS": f"task-events={sink.url}"})
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
            world.postgres.query(PUBLISH.format(count=WARM, pause=PAUSE_S))
            self.counted(
                callgrind, process.pid, "relay_event", CALLS,
                lambda: world.postgres.query(PUBLISH.format(count=CALLS, pause=PAUSE_S)))


def compare(counts, record):
    """The names that grew too much."""
    print(f"{'instructions':14} {'recorded':>10} {'now':>10}")
    too_many = []
    for name, now in counts.items():
        before = record.get(name, {}).get("all")
        growth = now["all"] / before - 1 if before else 1
        print(f"{name:14} {before or '-':>10} {now['all']:>10} {growth:+8.1%}", flush=True)
        if growth > GROWTH_MAX:
            too_many.append(name)
            print(f"  recorded {record.get(name)}\n  now      {now}")
    return too_many


def main():
    parser = argparse.ArgumentParser(usage=__doc__, add_help=False)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--keep")
    options = parser.parse_args()
    counter = Counter(options.keep)
    counter.tools()
    counter.relay()
    record = {}
    if os.path.exists(RECORD):
        with open(RECORD, encoding="utf-8") as f:
            record = json.load(f)
    too_many = compare(counter.counts, record)
    if options.write:
        with open(RECORD, "w", encoding="utf-8") as f:
            json.dump(counter.counts, f, indent=1)
            f.write("\n")
    elif too_many:
        sys.exit(f"more than {GROWTH_MAX:.0%} above the record: {', '.join(too_many)}. Where it is "
                 "meant, `./todo bench instructions --write` renews the record.")


if __name__ == "__main__":
    main()
