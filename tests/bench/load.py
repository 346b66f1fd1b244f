"""Load: one operation over HTTP by wrk, over stdio by ourselves, and its SQL by pgbench. Each run
gives calls a second, p50, p99, and the CPU time a call of all who took part."""

import json
import os
import re
import resource
import subprocess
import time

from todo_server import MODERN, Client

TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def cpu_us(pid, with_waited):
    """CPU time of a process, perhaps with that of the children it has waited for."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15 if with_waited else 13])) * TICK_US


def cluster_cpu_us(postgres):
    pid = postgres.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        children = f.read().split()
    return cpu_us(pid, True) + sum(cpu_us(child, False) for child in children)


class Meter:
    """CPU time that the cluster, `pids` and the programs that we run spend meanwhile."""

    def __init__(self, postgres, pids=()):
        self.postgres, self.pids = postgres, pids
        self.before = self._now()

    def _now(self):
        own = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (cluster_cpu_us(self.postgres) + sum(cpu_us(pid, False) for pid in self.pids)
                + (own.ru_utime + own.ru_stime) * 1e6)

    def spent_us(self):
        return self._now() - self.before


WRK_SCRIPT = """wrk.method = "POST"
wrk.body = [==[%s]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["MCP-Protocol-Version"] = "%s"
wrk.headers["Mcp-Method"] = "tools/call"
wrk.headers["Mcp-Name"] = "%s"
function done(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.bytes,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


def answer_bytes(world, port, operation):
    """What a right answer has at the least; one with an error in it is smaller."""
    client = Client(port)
    _, body = client.request("tools/call", {"name": operation,
                                            "arguments": world.arguments(operation)})
    client.close()
    if "structuredContent" not in body.get("result", {}):
        raise RuntimeError(f"{operation}: {body}")
    return 0.9 * len(json.dumps(body, separators=(",", ":")))


def wrk(world, process, port, operation, connections, seconds):
    script = f"{world.dir}/{operation}.lua"
    with open(script, "w", encoding="utf-8") as f:
        f.write(WRK_SCRIPT % (world.message(operation), MODERN, operation))
    least = answer_bytes(world, port, operation)
    last = world.postgres.value("select last_value from todo.outbox_seq_seq")
    meter = Meter(world.postgres, [process.pid])
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script,
                          f"http://127.0.0.1:{port}/mcp"], check=True, stdout=subprocess.PIPE,
                         text=True).stdout
    spent_us = meter.spent_us()
    calls, us, p50, p99, received, errors = map(int, re.search(
        r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", out).groups())
    if not calls:
        raise RuntimeError(f"{operation}: no answer in {seconds} s\n{out}")
    if errors or received < calls * least:
        raise RuntimeError(f"{operation}: {errors} failed requests, {received / calls:.0f} of "
                           f"{least:.0f} bytes an answer\n{out}")
    if operation == "add_task":
        events = int(world.postgres.value(
            "select count(*) from todo.outbox where topic = 'task-events' and published_at is null"
            f" and seq > {last}"))
        if events < calls:
            raise RuntimeError(f"{calls} tasks were added, {events} events written")
    return {"per_second": calls / (us / 1e6), "p50_ms": p50 / 1000, "p99_ms": p99 / 1000,
            "cpu_us": spent_us / calls}


def pgbench(world, operation, clients, seconds):
    """Each client is a new session, which has to plan the statement first. That is no part of what is
    measured, as it is none of servers that keep their sessions: a busy machine gets more time for it."""
    for warm_s in (0.01 * clients, 0.05 * clients, 0.25 * clients):
        done, since, cpu = pgbench_run(world, operation, clients, seconds, warm_s)
        first = {client: end for client, end, _ in reversed(done)}
        # Not before the last client has its plan.
        since = max(since, *first.values()) if len(first) > 1 else since
        counted = [us for _, end, us in done if end > since]
        if len(first) == clients and len(counted) > 1:
            return {"per_second": len(counted) / (done[-1][1] - since),
                    "p50_ms": percentile(counted, .5) / 1000,
                    "p99_ms": percentile(counted, .99) / 1000, "cpu_us": cpu}
    raise RuntimeError(f"{len(first)} of {clients} clients of pgbench came to work")


def pgbench_run(world, operation, clients, seconds, warm_s):
    """(its log, the time after `warm_s`, CPU time a call from then on)"""
    postgres = world.postgres
    for old in os.listdir(world.dir):
        if old.startswith("pgbench-log"):
            os.unlink(f"{world.dir}/{old}")
    process = subprocess.Popen(
        [f"{postgres.bindir}/pgbench", "-n", "-M", "prepared", "-f",
         world.pgbench_script(operation), "-c", str(clients), "-j", "1", "-T",
         str(round(seconds + warm_s + 0.4)), "-l", "--log-prefix", f"{world.dir}/pgbench-log", "-h",
         postgres.dir, "-U", "postgres", "postgres"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=world.dir,
        env={**os.environ, "PGOPTIONS": world.session_options})
    time.sleep(warm_s)
    since, meter = time.time(), Meter(postgres)
    out, _ = process.communicate()
    spent_us = meter.spent_us()
    if process.returncode:
        raise RuntimeError(f"pgbench {operation}: {out}")
    done = pgbench_log(world.dir)
    return done, since, spent_us / max(1, sum(end >= since for _, end, _ in done))


def pgbench_log(folder):
    """(client, when it ended, µs) of each transaction, in their order."""
    done = []
    for name in os.listdir(folder):
        if name.startswith("pgbench-log"):
            with open(f"{folder}/{name}", encoding="ascii") as f:
                for words in map(str.split, f):
                    done.append((int(words[0]), int(words[4]) + int(words[5]) / 1e6, int(words[2])))
    return sorted(done, key=lambda one: one[1])


def stdio(world, operation, window, seconds):
    """`window` calls in flight over one pipe."""
    process = subprocess.Popen([world.server.binary, "--stdio"],
                               env={**world.server.env, "LOG_LEVEL": "warn"}, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    head, tail = world.message(operation, 0).split('"id": 0')
    sent, latencies, next_id = {}, [], 0

    def send(count):
        nonlocal next_id
        for _ in range(count):
            next_id += 1
            sent[next_id] = time.perf_counter()
            process.stdin.write(f'{head}"id": {next_id}{tail}\n'.encode())
        process.stdin.flush()

    def receive():
        answer = process.stdout.readline()
        if b'"structuredContent"' not in answer or b'"isError":true' in answer:
            raise RuntimeError(f"{operation}: {answer[:500]}")
        return time.perf_counter() - sent.pop(int(re.search(rb'"id":(\d+)', answer).group(1)))

    send(1)
    receive()
    started = time.perf_counter()
    send(window)
    while sent:
        latencies.append(receive() * 1000)
        if time.perf_counter() - started < seconds:
            send(1)
    spent = time.perf_counter() - started
    process.stdin.close()
    process.wait(30)
    process.stdout.close()
    return {"per_second": len(latencies) / spent, "p50_ms": percentile(latencies, .5),
            "p99_ms": percentile(latencies, .99)}
