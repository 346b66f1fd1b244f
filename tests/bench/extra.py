"""What is no throughput: memory, cold starts, tokens."""

import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

import load
from todo_server import MODERN, Client, Server, wait_for
from world import META, OPERATIONS, POOL_SIZE

STREAMS = 10_000
DESCRIPTION = ("Collect the figures of the quarter, compare them with the plan and write down what "
               "differs and why. ")


def resident_mb(pid, what="VmRSS"):
    """VmHWM: the most since it was started, or since forget_peak."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(rf"{what}:\s+(\d+)", f.read()).group(1)) / 1024


def forget_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as f:
        f.write("5")


# ---- memory ------------------------------------------------------------------------------------


def busy_memory(world, seconds):
    """Resident with 32 busy connections: the most that was seen while they worked."""
    server = world.server
    forget_peak(server.process.pid)
    for operation in OPERATIONS:
        load.wrk(world, server.process, server.port, operation, 32, seconds)
    return resident_mb(server.process.pid, "VmHWM")


def allow_files(count):
    """How many connections the limit of open files leaves for, of `count`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 200
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(count, soft - 200)


def open_stream(port):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {
        "notifications": {"toolsListChanged": True}, "_meta": META}})
    s = socket.create_connection(("127.0.0.1", port), timeout=30)
    s.sendall((f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
               "Accept: application/json, text/event-stream\r\n"
               f"MCP-Protocol-Version: {MODERN}\r\nMcp-Method: subscriptions/listen\r\n"
               f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    received = b""
    while b"subscriptions/acknowledged" not in received:
        chunk = s.recv(65536)
        if not chunk:
            raise RuntimeError(f"no stream: {received[:500]}")
        received += chunk
    return s


def stream_memory(world):
    """(streams, MB): a server with so many idle SSE streams."""
    count = allow_files(STREAMS)
    server = Server(world.postgres.url, env={"POOL_SIZE": str(POOL_SIZE),
                                             "CONNECTIONS_MAX": str(count + 100)})
    streams = []
    try:
        for _ in range(count):
            streams.append(open_stream(server.port))
        Client(server.port).call("list_tasks", limit=1)
        return count, resident_mb(server.process.pid)
    finally:
        for s in streams:
            s.close()
        server.stop()


# ---- cold start --------------------------------------------------------------------------------


def first_answer_ms(env):
    """From exec to the first answer of a tool, over stdio."""
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "list_tasks", "arguments": {"limit": 1}, "_meta": META}}) + "\n"
    with tempfile.TemporaryFile("w+") as log:
        started = time.perf_counter()
        process = subprocess.Popen([os.environ["TODO_MCP"], "--stdio"], env=env, text=True,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        process.stdin.write(line)
        process.stdin.flush()
        answer = process.stdout.readline()
        spent = time.perf_counter() - started
        process.stdin.close()
        code = process.wait(60)
        process.stdout.close()
        log.seek(0)
        if '"structuredContent":{"tasks":[' not in answer or code != 0:
            raise RuntimeError(f"no answer ({code}): {answer}\n{log.read()}")
    return spent * 1000


def cold_start(world, starts):
    """Milliseconds: with a database there, with a private one made anew, with one that is there."""
    there = statistics.median(first_answer_ms(world.server.env) for _ in range(starts))
    data = tempfile.mkdtemp(prefix="todo-cold-")
    os.chmod(data, 0o711)  # as root, the cluster belongs to user postgres
    env = {**world.server.env}
    del env["DATABASE_URL"]
    made, again = [], []
    try:
        for n in range(max(1, starts // 2)):
            env["DATA_DIR"] = f"{data}/{n}"
            made.append(first_answer_ms(env))
            again.append(first_answer_ms(env))
            wait_for(lambda: not os.path.exists(f"{env['DATA_DIR']}/postgres/data/postmaster.pid"),
                     30, "the end of the private PostgreSQL")
    finally:
        shutil.rmtree(data, ignore_errors=True)
    return there, statistics.median(made), statistics.median(again)


# ---- tokens ------------------------------------------------------------------------------------


def answer_tokens(client, method, **params):
    """Bytes / 4 of an answer's result, without what the protocol says about the server."""
    status, body = client.request(method, params)
    assert status == 200 and not body["result"].get("isError"), body
    result = {k: v for k, v in body["result"].items() if k not in ("_meta", "resultType")}
    return len(json.dumps(result, separators=(",", ":"), ensure_ascii=False).encode()) // 4


def tokens(world):
    """Of tools/list, and of a list and a search whose 25 tasks have descriptions of 10,000
    characters, every member a task may have, and a category and two tags."""
    server = Server(world.postgres.url, env={"TODO_USER": "tokens"})
    try:
        client = Client(server.port)
        category = client.call("create_category", name="Administration", color="#336699")["id"]
        tags = [client.call("create_tag", name=name, color="#00AA00")["id"]
                for name in ("reports", "quarter")]
        description = (DESCRIPTION * (10_000 // len(DESCRIPTION) + 1))[:10_000]
        for n in range(30):
            client.call("add_task", title=f"Report {n} of the quarter", description=description,
                        priority="high", category_id=category, tag_ids=tags,
                        due_date="2030-01-31T17:00:00+01:00", timezone="Europe/Berlin")
        got = {"tokens_tools_list": answer_tokens(client, "tools/list")}
        for tool, arguments in (("list_tasks", {}), ("search_tasks", {"query": "report quarter"})):
            assert len(client.call(tool, **arguments)["tasks"]) == 25
            got[f"tokens_{tool}"] = answer_tokens(client, "tools/call", name=tool,
                                                  arguments=arguments)
        client.close()
        return got
    finally:
        server.stop()
