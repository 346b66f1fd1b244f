"""What is flat over a soak and what is not: over series [(seconds, value)] from after the warm-up.

Memory. A leak goes on, so it is there in the whole run and in either half; a buffer that has found its
size, or an allocator that took one more block, is a step in one of them. So the least of the three
slopes counts. Up to 256 KiB an hour pass, or 2 % of the program where that is more (12.5 MiB and up):
the residue of pages that the kernel counts late. 16 bytes a call are 256 KiB an hour at 4.6 calls a second
to one program; the soak says what leak a call its limit stands for.

Descriptors. One an hour passes: 15 calls a second with a leak in one of 20,000 make more.

Latency. The machine is not ours alone, so the medians of minutes are compared, by quarters of the run: the
last quarter's may be half as large again as the first quarter's, and 5 ms more where that is nothing.

Backlog and tables. By quarters too, with a slack of what comes between two purges."""

import statistics

from footprint import slope

MEMORY_KIB_H, MEMORY_SHARE = 256, 0.02
DESCRIPTORS_H = 1
LATENCY_RATIO, LATENCY_SLACK_MS = 1.5, 5
TABLE_RATIO = 1.5


def slopes_h(series):
    """A line's, in value an hour: over all, the first half, the second."""
    middle = (series[0][0] + series[-1][0]) / 2
    halves = ([s for s in series if s[0] <= middle], [s for s in series if s[0] > middle])
    return [60 * slope(part) for part in (series, *halves)]


def quarters(series):
    """The median of the first quarter's values, and of the last's."""
    size = max(1, len(series) // 4)
    return tuple(statistics.median(v for _, v in part) for part in (series[:size], series[-size:]))


class Judge:
    def __init__(self):
        self.faults = []

    def memory_limit(self, series):
        return max(MEMORY_KIB_H, MEMORY_SHARE * statistics.median(v for _, v in series))

    def memory(self, name, series):
        """In KiB."""
        limit, found = self.memory_limit(series), slopes_h(series)
        if min(found) > limit:
            self.faults.append(f"{name} grows by {min(found):.0f} KiB an hour or more, the limit"
                               f" is {limit:.0f}")

    def descriptors(self, name, series):
        if min(found := slopes_h(series)) > DESCRIPTORS_H:
            self.faults.append(f"{name} has {min(found):.1f} descriptors more each hour")

    def latency(self, name, series):
        """In ms."""
        first, last = quarters(series)
        if last > max(LATENCY_RATIO * first, first + LATENCY_SLACK_MS):
            self.faults.append(f"{name} went from {first:.1f} to {last:.1f} ms")

    def size(self, name, series, slack):
        first, last = quarters(series)
        if last > TABLE_RATIO * first + slack:
            self.faults.append(f"{name} went from {first:.0f} to {last:.0f}")

    def most(self, name, series, limit):
        if (found := max(v for _, v in series)) > limit:
            self.faults.append(f"{name}: {found:.0f} is over {limit:.0f}")
