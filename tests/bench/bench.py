"""Measures todo-mcp side by side with pgbench that runs the very same SQL on the same cluster, and
with servers on the official SDKs that run it too (peer.py), in interleaved rounds: what disturbs the
machine disturbs all of them, and the ratio of the medians says more than any one number. Prints
what was measured, a table against the goals, and, as its last line, one JSON object. See
docs/benchmarks.md.

usage: ./todo bench [tools] [--quick] [--large] [--report FILE] [--peer NAME ...] [OPERATION ...]
  --quick    one short round of each, at fewer connections (a check that the bench works, not a
             measurement)
  --large    also with 5,000,000 tasks in the table
  --report   where the tables go, in Markdown
  --check    only that all answer the same, with 1,000 tasks
  --peer     only these of go, rust, typescript, python
  --seed     of the order in each round
  OPERATION  only these of add_task, get_task, list_tasks, search_tasks, and nothing but throughput
"""

import argparse
import json
import os
import random
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import extra  # noqa: E402
import goals  # noqa: E402
import load  # noqa: E402
import plans  # noqa: E402
import report  # noqa: E402
from peer import PEERS, Peer, make_all  # noqa: E402
from world import LARGE, MIDDLE, OPERATIONS, POOL_SIZE, READS, SMALL, World  # noqa: E402

CONNECTIONS = (1, 32, 256)
NAMES = {"todo": "todo-mcp", "pgbench": "pgbench", **{who: name for who, (name, _) in PEERS.items()}}


class Bench:
    def __init__(self, options):
        self.options = options
        self.seconds, self.rounds = 2, 1 if options.quick else 3
        self.connections = CONNECTIONS[:2] if options.quick else CONNECTIONS
        self.operations = options.operation or OPERATIONS
        self.random = random.Random(options.seed)
        self.made, self.notes = make_all(options.peer or PEERS)
        # Events have a benchmark of their own: no relay works here while others are measured.
        self.world = World(env={"RELAY": "false"})
        self.peers = {}
        self.found = {}  # size: {(operation, connections): {who: medians}}
        self.figures = {"seconds_a_round": self.seconds, "rounds": self.rounds,
                        "seed": options.seed, "cores": os.cpu_count(),
                        "load_before": os.getloadavg()[0], "left_out": self.notes}

    def close(self):
        for peer in self.peers.values():
            peer.close()
        self.world.close()

    # ---- who is measured -------------------------------------------------------------------------

    def measure(self, who, operation, connections):
        if who == "pgbench":
            return load.pgbench(self.world, operation, connections, self.seconds)
        server = self.world.server if who == "todo" else self.peers[who]
        return load.wrk(self.world, server.process, server.port, operation, connections,
                        self.seconds)

    def start_peers(self):
        for who, made in self.made.items():
            self.peers[who] = Peer(who, made, self.world)
            self.peers[who].start()

    def check(self):
        """That all do the same, and that every statement has its indexes."""
        count, wrong = plans.wrong(self.world.postgres, ("tasks",))
        if wrong:
            raise RuntimeError(f"with {self.world.tasks} tasks: {wrong}")
        self.figures["plans"] = count
        print(f"\n{self.world.tasks:,} tasks; the plans of {count} statements use indexes")
        for operation in self.operations:
            self.world.check(self.world.server.port, operation)
            for peer in self.peers.values():
                self.world.check_same(peer.port, operation)
        for peer in self.peers.values():
            pooled = int(self.world.postgres.value(
                "select count(*) from pg_stat_activity"
                f" where application_name = '{peer.name}'"))
            assert 0 < pooled <= POOL_SIZE, (peer.name, pooled)

    # ---- throughput ------------------------------------------------------------------------------

    def row(self, who, operation, connections, got, ratio=None):
        print(f"{operation:13} {connections:4} {who:14} {got['per_second']:9.0f} "
              f"{got['p50_ms']:9.2f} {got['p99_ms']:9.2f} {got.get('cpu_us', 0):9.1f}  "
              f"{f'{ratio:.2f}' if ratio else '':>6}", flush=True)

    def compare(self, operation, connections, whos):
        """Rounds of all, each in another order; medians."""
        samples = {who: [] for who in whos}
        for _ in range(self.rounds):
            for who in self.random.sample(whos, len(whos)):
                samples[who].append(self.measure(who, operation, connections))
        medians = {who: {key: statistics.median(s[key] for s in taken) for key in taken[0]}
                   for who, taken in samples.items()}
        for who, got in medians.items():
            ratio = medians["todo"]["per_second"] / got["per_second"] if who != "todo" else None
            self.row(NAMES[who], operation, connections, got, ratio)
        return medians

    def throughput(self):
        """With as many tasks as there are now. All peers take part at the middle size; where the
        table is large they do with 32 connections; the small one is there to compare its size."""
        size = self.world.tasks
        self.check()
        print(f"{'':13} {'':4} {'':14} {'calls/s':>9} {'p50 ms':>9} {'p99 ms':>9} {'CPU µs':>9}  "
              f"{'ratio':>6}")
        # What is added comes after all that is read, and is taken away again.
        for operation in sorted(self.operations, key=OPERATIONS.index, reverse=True):
            for connections in self.connections[:2] if size == SMALL else self.connections:
                has_peers = size == MIDDLE or size == LARGE and connections == 32
                whos = ["todo", "pgbench", *(self.peers if has_peers else ())]
                self.found.setdefault(size, {})[operation, connections] = self.compare(
                    operation, connections, whos)
                if operation == "add_task":
                    self.world.shrink()

    def stdio(self):
        for window in (1, 32):
            for operation in self.operations:
                got = load.stdio(self.world, operation, window, self.seconds)
                self.figures[f"stdio_{operation}_{window}"] = got
                self.row("stdio", operation, window, got)
        self.world.shrink()

    def compared(self):
        """The figures that the goals are about."""
        figures = {}
        for (operation, connections), got in self.found[MIDDLE].items():
            name, todo = f"{operation}_{connections}", got["todo"]
            for who, other in list(got.items())[1:]:
                key = "" if who == "pgbench" else f"{who}_"
                figures[f"{name}_{key}ratio"] = todo["per_second"] / other["per_second"]
            figures[f"{name}_latency_ratio"] = todo["p50_ms"] / got["pgbench"]["p50_ms"]
            figures[f"{name}_p99_ms"] = todo["p99_ms"]
        for size, name in ((MIDDLE, "middle"), (LARGE, "large")):
            for operation in READS:
                if (operation, 1) in self.found.get(size, ()):
                    small, more = (self.found[s][operation, 1]["todo"]["p50_ms"]
                                   for s in (SMALL, size))
                    figures[f"{name}_{operation}"] = more / small
        return figures

    # ---- all of it -------------------------------------------------------------------------------

    def run(self):
        world, figures = self.world, self.figures
        figures["memory_idle_mb"] = extra.resident_mb(world.server.process.pid)
        world.seed()
        if self.options.check:
            self.start_peers()
            self.check()
            return
        self.throughput()
        self.start_peers()
        for size in (MIDDLE, LARGE) if self.options.large else (MIDDLE,):
            print(f"filling the table: {size:,} tasks", file=sys.stderr)
            world.grow(size)
            self.throughput()
        figures.update(self.compared())
        if self.options.operation:
            return
        self.stdio()
        figures["memory_busy_32_mb"] = extra.busy_memory(world, self.seconds)
        figures["streams"], figures["memory_streams_mb"] = extra.stream_memory(world)
        figures.update(zip(("cold_start_there_ms", "cold_start_made_ms", "cold_start_again_ms"),
                           extra.cold_start(world, 2 if self.options.quick else 9)))
        figures.update(extra.tokens(world))

    def finish(self):
        figures = self.figures
        figures["load_after"] = os.getloadavg()[0]
        goals.print_table(figures)
        for note in self.notes:
            print(note)
        if figures.get("streams", extra.STREAMS) < extra.STREAMS:
            print(f"(only {figures['streams']} streams: the limit of open files)")
        if self.options.report:
            report.write(self.options.report,
                         report.markdown(figures, self.found, NAMES, self.notes))
        figures["found"] = {size: {f"{operation}_{connections}": got
                                   for (operation, connections), got in cells.items()}
                            for size, cells in self.found.items()}
        print(json.dumps(figures))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--report")
    parser.add_argument("--peer", action="append", choices=PEERS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("operation", nargs="*", choices=[*OPERATIONS, []])
    bench = Bench(parser.parse_args())
    try:
        bench.run()
    finally:
        bench.close()
    if bench.options.check:
        sys.exit("\n".join(bench.notes) or None)
    bench.finish()


if __name__ == "__main__":
    main()
