"""Load: one operation over HTTP by wrk, over stdio by ourselves, and its SQL by pgbench. Each run
gives calls a second, p50, p99, and the CPU time a call of all who took part."""

import os
import re
import resource
import subprocess
import time

from todo_server import MODERN

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
  io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
"""


def wrk(world, process, port, operation, connections, seconds):
    script = f"{world.dir}/{operation}.lua"
    with open(script, "w", encoding="utf-8") as f:
        f.write(WRK_SCRIPT % (world.message(operation), MODERN, operation))
    meter = Meter(world.postgres, [process.pid])
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script,
                          f"http://127.0.0.1:{port}/mcp"], check=True, stdout=subprocess.PIPE,
                         text=True).stdout
    spent_us = meter.spent_us()
    calls, us, p50, p99, errors = map(int, re.search(
        r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", out).groups())
    if errors:
        raise RuntimeError(f"{operation}: {errors} failed requests\n{out}")
    return {"per_second": calls / (us / 1e6), "p50_ms": p50 / 1000, "p99_ms": p99 / 1000,
            "cpu_us": spent_us / calls}


def pgbench(world, operation, clients, seconds):
    postgres = world.postgres
    for old in os.listdir(world.dir):
        if old.startswith("pgbench-log"):
            os.unlink(f"{world.dir}/{old}")
    meter = Meter(postgres)
    out = subprocess.run(
        [f"{postgres.bindir}/pgbench", "-n", "-M", "prepared", "-f",
         world.pgbench_script(operation), "-c", str(clients), "-j", "1", "-T", str(seconds), "-l",
         "--log-prefix", f"{world.dir}/pgbench-log", "-h", postgres.dir, "-U", "postgres",
         "postgres"],
        check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=world.dir,
        env={**os.environ, "PGOPTIONS": world.session_options}).stdout
    spent_us = meter.spent_us()
    latencies = []
    for name in os.listdir(world.dir):
        if name.startswith("pgbench-log"):
            with open(f"{world.dir}/{name}", encoding="ascii") as f:
                latencies += [int(line.split()[2]) for line in f]
    return {"per_second": float(re.search(r"tps = ([\d.]+) \(without", out).group(1)),
            "p50_ms": percentile(latencies, .5) / 1000, "p99_ms": percentile(latencies, .99) / 1000,
            "cpu_us": spent_us / len(latencies)}


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
