"""What a campaign prints, and the same as Markdown for docs/reliability.md."""

import random
import shlex
import statistics
import sys
import time
from collections import defaultdict

from rig import TRANSPORTS
from tabular import markdown


def add_options(parser):
    """Those that each campaign against the whole product has."""
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--transport", choices=TRANSPORTS, default="dapr-kafka")
    parser.add_argument("--replicas", type=int, default=2, help="of each worker")
    parser.add_argument("--report", metavar="FILE", help="Markdown")


class Report:
    name = "campaign"

    def __init__(self, options):
        self.options = options
        self.began = time.monotonic()
        self.rows = []  # (fault, seconds of recovery, calls made again from its begin on)
        self.figures, self.footprints, self.faults = {}, {}, []
        self.failure = None

    def start(self):
        self.began = time.monotonic()

    def round(self, faults, seconds, again):
        self.rows += [(fault, seconds, again) for fault in faults]
        at = time.monotonic() - self.began
        print(f"{at:7.1f} s  {' and '.join(map(str, faults))}: recovered in {seconds:.1f} s,"
              f" {again} calls made again",
              flush=True)

    def _kinds(self):
        kinds = defaultdict(list)
        for fault, seconds, again in self.rows:
            kinds[fault.name].append((seconds, fault, again))
        for name in sorted(kinds):
            found = [entry[0] for entry in kinds[name]]
            worst = max(kinds[name], key=lambda entry: entry[0])[1]
            yield (name, len(found), f"{statistics.median(found):.1f}", f"{max(found):.1f}",
                   worst, sum(entry[2] for entry in kinds[name]))

    def _what(self):
        return f"{len(self.rows)} faults"

    def _headline(self):
        words = shlex.join(["./todo", "faults", self.name, *sys.argv[1:]])
        if "--seed" not in words:
            words += f" --seed {self.options.seed}"
        minutes = (time.monotonic() - self.began) / 60
        return f"`{words}`: {self._what()} in {minutes:.1f} minutes over {self.options.transport}. " + \
               ("All held." if not self.failure else "**Something did not hold**, see the end.")

    def _tables(self):
        yield markdown(["fault", "times", "recovery s, median", "max", "the longest was after",
                        "calls made again"],
                       self._kinds())

    def _sections(self):
        yield self._headline()
        yield from self._tables()
        if self.figures:
            yield markdown(["figure", ""], self.figures.items())
        if self.footprints:
            head = ["program", *next(iter(self.footprints.values()))]
            yield markdown(head, [[name, *found.values()]
                                  for name, found in self.footprints.items()])
        if self.failure:
            yield f"```text\n{self.failure}\n```"

    def conduct(self, run):
        """The exit code."""
        print(f"seed {self.options.seed}", flush=True)
        try:
            run()
        except Exception as error:  # noqa: BLE001 - told, with the seed
            self.failure = error
            print(f"seed {self.options.seed}: {error}", flush=True)
        self.end()
        return 1 if self.failure else 0

    def end(self):
        text = "\n\n".join(self._sections()) + "\n"
        print(text, flush=True)
        if self.options.report:
            with open(self.options.report, "w", encoding="utf-8") as f:
                f.write(text)
