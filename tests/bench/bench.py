"""Measures todo-mcp side by side with pgbench that runs the very same SQL on the same cluster, in
interleaved rounds; prints a table and, as its last line, one JSON object. See docs/benchmarks.md.

usage: ./todo bench [--quick] [--large]
  --quick   one short round of each (a check that the bench works, not a measurement)
  --large   also with 5,000,000 tasks in the table
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from todo_server import MODERN, Client, Postgres, Server  # noqa: E402

META = {"io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {}}
OPERATIONS = ("add_task", "get_task", "list_tasks", "search_tasks")
# What each operation is called with, the server's statement for it, and that statement's parameters
# as the server sends them for the call: {user} and {task} stand for ids.
ARGUMENTS = {
    "add_task": {"title": "Write the report of the week"},
    "get_task": {"task_id": None},
    "list_tasks": {"limit": 20},
    "search_tasks": {"query": "quarterly", "limit": 20},
}
STATEMENTS = {
    "add_task": ("task_add", ["{user}", "'Write the report of the week'", "null", "1", "null",
                              "null", "null", "null"]),
    "get_task": ("task_get", ["{user}", "{task}"]),
    "list_tasks": ("task_list_created_desc",
                   ["{user}", "21", "'infinity'", "9223372036854775807", "true", "true",
                    "'{0,1,2,3}'", "'-infinity'", "'infinity'", "true"]),
    "search_tasks": ("task_search", ["{user}", "'quarterly'", "21", "'{f,t}'", "'infinity'", "0",
                                     "0"]),
}
SEED_TASKS = 1000


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


class Bench:
    def __init__(self, options):
        self.options = options
        self.seconds = 2 if options.quick else 5
        self.rounds = 1 if options.quick else 3
        self.dir = tempfile.mkdtemp(prefix="todo-bench-")
        self.postgres = Postgres(settings=["shared_buffers=512MB", "max_wal_size=4GB"])
        self.server = Server(self.postgres.url, env={"POOL_SIZE": "16"})
        self.session_options = subprocess.run([os.environ["TODO_STATEMENTS"], "-o"], check=True,
                                              stdout=subprocess.PIPE, text=True).stdout.strip()
        self.figures = {"seconds_a_round": self.seconds, "rounds": self.rounds}

    def close(self):
        if self.server.is_running():
            self.server.stop()
        self.postgres.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def seed(self, count):
        client = Client(self.server.port)
        self.first_id = client.call("add_task", title="Prepare the quarterly review")["id"]
        self.user_id = int(self.postgres.value("select user_id from todo.tasks limit 1"))
        self.postgres.query(
            "insert into todo.tasks (user_id, title, description, priority, due_date, timezone) "
            f"select {self.user_id}, 'Task ' || n || case when n % 50 = 0 then ' quarterly' else '' end, "
            "'Some words about task ' || n, n % 4, now() + n * interval '1 minute', 'UTC' "
            f"from generate_series(1, {count}) n")
        self.postgres.query("vacuum analyze todo.tasks")

    # ---- one operation over HTTP, by wrk ------------------------------------------------------

    def arguments(self, operation):
        arguments = dict(ARGUMENTS[operation])
        if operation == "get_task":
            arguments["task_id"] = self.first_id
        return arguments

    def wrk(self, operation, connections):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": operation, "arguments": self.arguments(operation), "_meta": META}})
        script = f"{self.dir}/{operation}.lua"
        with open(script, "w", encoding="utf-8") as f:
            f.write(f"""wrk.method = "POST"
wrk.body = [==[{body}]==]
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"
wrk.headers["MCP-Protocol-Version"] = "{MODERN}"
wrk.headers["Mcp-Method"] = "tools/call"
wrk.headers["Mcp-Name"] = "{operation}"
function done(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout))
end
""")
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{self.seconds}s", "-s", script,
                              f"http://127.0.0.1:{self.server.port}/mcp"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
        requests, us, p50, p99, errors = map(int, re.search(
            r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", out).groups())
        if errors:
            raise RuntimeError(f"{operation}: {errors} failed requests\n{out}")
        return {"per_second": requests / (us / 1e6), "p50_ms": p50 / 1000, "p99_ms": p99 / 1000}

    # ---- the same SQL by pgbench -----------------------------------------------------------------

    def sql_script(self, operation):
        """The statement as pgbench runs it with -M prepared: numbers are variables, which become
        parameters; texts stand in the statement."""
        name, values = STATEMENTS[operation]
        sql = subprocess.run([os.environ["TODO_STATEMENTS"], name], check=True,
                             stdout=subprocess.PIPE, text=True).stdout.strip()
        values = [v.format(user=self.user_id, task=self.first_id) if "{" in v[:1] else v
                  for v in values]
        is_number = [v.lstrip("-").isdigit() for v in values]
        sets = "".join(f"\\set p{n} {v}\n" for n, v in enumerate(values, 1) if is_number[n - 1])

        def value_of(match):
            n = int(match.group(1))
            return f":p{n}" if is_number[n - 1] else values[n - 1]

        path = f"{self.dir}/{operation}.sql"
        with open(path, "w", encoding="utf-8") as f:
            f.write(sets + re.sub(r"\$(\d+)", value_of, sql) + ";\n")
        return path

    def pgbench(self, operation, clients):
        log = f"{self.dir}/pgbench-log"
        for old in os.listdir(self.dir):
            if old.startswith("pgbench-log"):
                os.unlink(f"{self.dir}/{old}")
        out = subprocess.run(
            [f"{self.postgres.bindir}/pgbench", "-n", "-M", "prepared", "-f",
             self.sql_script(operation), "-c", str(clients), "-j", "1", "-T", str(self.seconds),
             "-l", "--log-prefix", log, "-h", self.postgres.dir, "-U", "postgres", "postgres"],
            check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.dir,
            env={**os.environ, "PGOPTIONS": self.session_options})
        tps = float(re.search(r"tps = ([\d.]+) \(without", out.stdout).group(1))
        latencies = []
        for name in os.listdir(self.dir):
            if name.startswith("pgbench-log"):
                with open(f"{self.dir}/{name}", encoding="ascii") as f:
                    latencies += [int(line.split()[2]) for line in f]
        return {"per_second": tps, "p50_ms": percentile(latencies, .5) / 1000,
                "p99_ms": percentile(latencies, .99) / 1000}

    # ---- stdio -----------------------------------------------------------------------------------

    def stdio(self, operation, window):
        """`window` calls in flight over one pipe."""
        env = {**self.server.env, "LOG_LEVEL": "warn"}
        process = subprocess.Popen([self.server.binary, "--stdio"], env=env,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        line = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "tools/call", "params": {
            "name": operation, "arguments": self.arguments(operation), "_meta": META}})
        head, tail = line.split('"id": 0')
        sent, started, latencies = {}, 0, []
        next_id = 0

        def send():
            nonlocal next_id
            next_id += 1
            sent[next_id] = time.perf_counter()
            process.stdin.write(f'{head}"id": {next_id}{tail}\n'.encode())

        send()
        process.stdin.flush()
        process.stdout.readline()
        sent.clear()
        end = time.perf_counter() + self.seconds
        started = time.perf_counter()
        for _ in range(window):
            send()
        process.stdin.flush()
        while sent:
            answer = process.stdout.readline()
            request_id = int(re.search(rb'"id":(\d+)', answer[-40:] if b'"id":' not in answer[:60]
                                       else answer[:60]).group(1))
            now = time.perf_counter()
            latencies.append((now - sent.pop(request_id)) * 1000)
            if now < end:
                send()
                process.stdin.flush()
        spent = time.perf_counter() - started
        process.stdin.close()
        process.wait(30)
        return {"per_second": len(latencies) / spent, "p50_ms": percentile(latencies, .5),
                "p99_ms": percentile(latencies, .99)}

    # ---- the rest ----------------------------------------------------------------------------------

    def measure(self, label, run, *args):
        self.samples.setdefault(label, []).append(run(*args))

    def compare(self, operation, connections):
        self.samples = {}
        for _ in range(self.rounds):
            self.measure("todo", self.wrk, operation, connections)
            self.measure("pgbench", self.pgbench, operation, connections)
        median = {who: {key: statistics.median(s[key] for s in samples) for key in samples[0]}
                  for who, samples in self.samples.items()}
        ratio = median["todo"]["per_second"] / median["pgbench"]["per_second"]
        print(f"{operation:13} {connections:4}  "
              f"{median['todo']['per_second']:9.0f} {median['todo']['p50_ms']:8.2f} "
              f"{median['todo']['p99_ms']:8.2f}  {median['pgbench']['per_second']:9.0f} "
              f"{median['pgbench']['p50_ms']:8.2f} {median['pgbench']['p99_ms']:8.2f}  "
              f"{ratio:6.2f}", flush=True)
        self.figures[f"{operation}_{connections}"] = {**median, "ratio": round(ratio, 3)}

    def load_memory(self):
        """Resident memory with 32 busy connections, sampled while they work."""
        peak = 0
        thread = threading.Thread(target=self.wrk, args=("list_tasks", 32))
        thread.start()
        while thread.is_alive():
            peak = max(peak, resident_kib(self.server.process.pid))
            time.sleep(0.05)
        return peak

    def cold_start(self, embedded):
        """Seconds from exec to the first answer of a tool, over stdio."""
        data = tempfile.mkdtemp(prefix="todo-cold-")
        env = {**self.server.env, "DATA_DIR": f"{data}/d"}
        if embedded:
            env.pop("DATABASE_URL")
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "list_tasks", "arguments": {"limit": 1}, "_meta": META}}) + "\n"
        started = time.perf_counter()
        process = subprocess.Popen([self.server.binary, "--stdio"], env=env, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        process.stdin.write(line.encode())
        process.stdin.flush()
        process.stdout.readline()
        spent = time.perf_counter() - started
        process.stdin.close()
        process.wait(60)
        shutil.rmtree(data, ignore_errors=True)
        return spent * 1000

    def run(self):
        idle = resident_kib(self.server.process.pid)
        self.seed(SEED_TASKS)
        status, body = Client(self.server.port).request("tools/list")
        assert status == 200
        size = len(json.dumps(body["result"]["tools"], separators=(",", ":"), ensure_ascii=False))
        self.figures["tools_list_tokens"] = size // 4
        self.figures["resident_idle_kib"] = idle
        print(f"{'':13} {'':4}  {'todo-mcp':>9} {'p50 ms':>8} {'p99 ms':>8}  {'pgbench':>9} "
              f"{'p50 ms':>8} {'p99 ms':>8}  {'ratio':>6}")
        for connections in (1, 32, 256):
            for operation in OPERATIONS:
                self.compare(operation, connections)
        self.figures["resident_busy_32_kib"] = self.load_memory()
        for window in (1, 32):
            for operation in OPERATIONS:
                got = self.stdio(operation, window)
                self.figures[f"stdio_{operation}_{window}"] = got
                print(f"{operation:13} stdio, {window} in flight: {got['per_second']:.0f}/s, "
                      f"p50 {got['p50_ms']:.2f} ms, p99 {got['p99_ms']:.2f} ms")
        self.figures["cold_start_ms"] = statistics.median(self.cold_start(False) for _ in range(5))
        self.figures["cold_start_embedded_ms"] = self.cold_start(True)
        for name in ("tools_list_tokens", "resident_idle_kib", "resident_busy_32_kib",
                     "cold_start_ms", "cold_start_embedded_ms"):
            print(f"{name}: {self.figures[name]:.0f}")
        if self.options.large:
            self.grow()

    def grow(self):
        small = {op: self.wrk(op, 1)["p50_ms"] for op in OPERATIONS[1:]}
        self.seed(5_000_000)
        for operation in OPERATIONS[1:]:
            large = self.wrk(operation, 1)["p50_ms"]
            self.figures[f"large_{operation}"] = large / small[operation]
            print(f"{operation}: p50 with 5,000,000 tasks is {large / small[operation]:.2f} times "
                  f"that with {SEED_TASKS}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--large", action="store_true")
    bench = Bench(parser.parse_args())
    try:
        bench.run()
    finally:
        bench.close()
    print(json.dumps(bench.figures))


if __name__ == "__main__":
    main()
