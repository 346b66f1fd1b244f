"""Measures todo-mcp side by side with pgbench that runs the very same SQL on the same cluster, and
with a server on the official Go SDK that runs it too, in interleaved rounds: what disturbs the
machine disturbs all of them, and the ratio of the medians says more than any one number. Prints
what was measured, a table against the goals, and, as its last line, one JSON object. See
docs/benchmarks.md.

usage: ./todo bench [--quick] [--large] [OPERATION ...]
  --quick    one short round of each, without callgrind (a check that the bench works, not a
             measurement)
  --large    also with 5,000,000 tasks in the table
  OPERATION  only these of add_task, get_task, list_tasks, search_tasks, and nothing but throughput
"""

import argparse
import json
import os
import statistics
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
import extra  # noqa: E402
import goals  # noqa: E402
import load  # noqa: E402
from world import OPERATIONS, PEER_PARAMS, READS, Peer, World  # noqa: E402

CALLGRIND_CALLS = 200


class Bench:
    def __init__(self, options):
        self.options = options
        self.seconds = 2 if options.quick else 5
        self.rounds = 1 if options.quick else 5
        self.operations = options.operation or OPERATIONS
        self.world = World()
        self.figures = {"seconds_a_round": self.seconds, "rounds": self.rounds,
                        "cores": os.cpu_count(), "load_before": os.getloadavg()[0]}

    def close(self):
        self.world.close()

    # ---- who is measured -------------------------------------------------------------------------

    def todo(self, operation, connections):
        server = self.world.server
        return load.wrk(self.world, server.process, server.port, operation, connections,
                        self.seconds)

    def peer(self, operation, connections):
        peer = self.world.peer
        return load.wrk(self.world, peer.process, peer.port, operation, connections, self.seconds)

    def pgbench(self, operation, connections):
        return load.pgbench(self.world, operation, connections, self.seconds)

    # ---- throughput ------------------------------------------------------------------------------

    def row(self, who, operation, connections, got, ratio=None):
        print(f"{operation:13} {connections:4} {who:9} {got['per_second']:9.0f} {got['p50_ms']:9.2f} "
              f"{got['p99_ms']:9.2f} {got.get('cpu_us', 0):9.1f}  "
              f"{f'{ratio:.2f}' if ratio else '':>6}", flush=True)

    def compare(self, operation, connections, with_peer):
        """Interleaved rounds of all; medians."""
        who = {"todo": self.todo, "pgbench": self.pgbench}
        if with_peer and operation in PEER_PARAMS:
            who["peer"] = self.peer
        samples = {name: [] for name in who}
        for _ in range(self.rounds):
            for name, run in who.items():
                samples[name].append(run(operation, connections))
        medians = {name: {key: statistics.median(s[key] for s in taken) for key in taken[0]}
                   for name, taken in samples.items()}
        todo = medians["todo"]
        figures = {"": todo["per_second"] / medians["pgbench"]["per_second"]}
        if "peer" in who:
            figures["peer_"] = todo["per_second"] / medians["peer"]["per_second"]
        self.row("todo-mcp", operation, connections, todo)
        self.row("pgbench", operation, connections, medians["pgbench"], figures[""])
        if "peer" in who:
            self.row("Go SDK", operation, connections, medians["peer"], figures["peer_"])
        name = f"{operation}_{connections}"
        self.figures[name] = medians
        for prefix, ratio in figures.items():
            self.figures[f"{name}_{prefix}ratio"] = ratio
        self.figures[f"{name}_latency_ratio"] = todo["p50_ms"] / medians["pgbench"]["p50_ms"]
        self.figures[f"{name}_cpu_ratio"] = medians["pgbench"]["cpu_us"] / todo["cpu_us"]
        self.figures[f"{name}_p99_ms"] = todo["p99_ms"]

    def throughput(self):
        for operation in self.operations:
            self.world.check(self.world.server.port, operation)
            if operation in PEER_PARAMS:
                self.world.check(self.world.peer.port, operation)
        print(f"{'':13} {'':4} {'':9} {'calls/s':>9} {'p50 ms':>9} {'p99 ms':>9} {'CPU µs':>9}  "
              f"{'ratio':>6}")
        for connections in (1, 32):
            for operation in self.operations:
                self.compare(operation, connections, connections == 32)

    def more_throughput(self):
        for operation in self.operations:
            got = self.todo(operation, 256)
            self.figures[f"{operation}_256"] = {"todo": got}
            self.row("todo-mcp", operation, 256, got)
        for window in (1, 32):
            for operation in self.operations:
                got = load.stdio(self.world, operation, window, self.seconds)
                self.figures[f"stdio_{operation}_{window}"] = got
                self.row("stdio", operation, window, got)

    # ---- the rest --------------------------------------------------------------------------------

    def large(self):
        """Each p50 at one connection, as the median of a few runs."""
        def p50(operation):
            return statistics.median(self.todo(operation, 1)["p50_ms"]
                                     for _ in range(self.rounds))
        small = {operation: p50(operation) for operation in READS}
        print("filling the table", file=sys.stderr)
        self.world.grow()
        for operation in READS:
            self.world.check(self.world.server.port, operation)
            self.figures[f"large_{operation}"] = p50(operation) / small[operation]

    def run(self):
        world, figures = self.world, self.figures
        figures["memory_idle_mb"] = extra.resident_mb(world.server.process.pid)
        world.seed()
        world.peer = Peer(world)
        self.throughput()
        if self.options.operation:
            return
        self.more_throughput()
        figures["memory_busy_32_mb"] = extra.busy_memory(world, self.seconds)
        figures["streams"], figures["memory_streams_mb"] = extra.stream_memory(world)
        figures.update(zip(("cold_start_there_ms", "cold_start_made_ms", "cold_start_again_ms"),
                           extra.cold_start(world, 2 if self.options.quick else 9)))
        figures.update(extra.tokens(world))
        if not self.options.quick:
            for operation in OPERATIONS:
                figures[f"instructions_{operation}"] = extra.instructions(world, operation,
                                                                          CALLGRIND_CALLS)
        if self.options.large:
            self.large()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("operation", nargs="*", choices=[*OPERATIONS, []])
    bench = Bench(parser.parse_args())
    try:
        bench.run()
    finally:
        bench.close()
    bench.figures["load_after"] = os.getloadavg()[0]
    goals.print_table(bench.figures)
    if bench.figures.get("streams", extra.STREAMS) < extra.STREAMS:
        print(f"(only {bench.figures['streams']} streams: the limit of open files)")
    print(json.dumps(bench.figures))


if __name__ == "__main__":
    main()
