"""What the tools' benchmark found, in Markdown, as docs/benchmarks.md has it."""

import os

import goals
import tabular
from world import MIDDLE


def cells(found, names, text):
    """A row for each operation and number of connections: `text(got, todo)` of each who took part."""
    for (operation, connections), got in found.items():
        yield [f"{operation}, {connections}",
               *(text(got[who], got["todo"]) if who in got else "–" for who in names)]


def rate(got, todo):
    text = f"{got['per_second']:,.0f}"
    return text if got is todo else f"{text} (×{todo['per_second'] / got['per_second']:.2g})"


def latency(got, _):
    return f"{got['p50_ms']:.2f} / {got['p99_ms']:.1f}"


def cpu(got, _):
    return f"{got['cpu_us']:,.0f}"


def of_size(size, found, names):
    present = [who for who in names if any(who in got for got in found.values())]
    heads = ["operation, connections", *(names[who] for who in present)]
    text = f"### {size:,} tasks\n\n"
    for title, say in (("Calls a second (× by which todo-mcp makes more)", rate),
                       ("p50 / p99, ms", latency),
                       ("CPU time a call, µs: load generator, server and database", cpu)):
        text += f"{title}:\n\n{tabular.markdown(heads, cells(found, present, say))}\n\n"
    return text


def of_goals(figures):
    rows = [[label, f"{way} {goals.number(floor)}", f"{way} {goals.number(goal)}",
             goals.number(figures[key], unit), goals.verdict(figures[key], way, floor, goal)]
            for key, label, way, floor, goal, unit in goals.GOALS if key in figures]
    return ("### Against the goals\n\n"
            f"Throughput and latency with {MIDDLE:,} tasks.\n\n"
            + tabular.markdown(["figure", "floor", "goal", "got", ""], rows) + "\n\n")


def markdown(figures, found, names, notes):
    """`found`: {size: {(operation, connections): {who: medians}}}; `names`: {who: its name}."""
    text = ("## Tools\n\n"
            f"Medians of {figures['rounds']} rounds of {figures['seconds_a_round']} s on "
            f"{figures['cores']} cores, load {figures['load_before']:.1f} before and "
            f"{figures['load_after']:.1f} after; order of the rounds by seed {figures['seed']}. "
            f"Plans of {figures['plans']} statements looked at with each number of tasks.\n\n")
    text += "".join(f"{note}\n\n" for note in notes)
    text += "".join(of_size(size, cell, names) for size, cell in found.items())
    return text + of_goals(figures)


def write(path, text):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
