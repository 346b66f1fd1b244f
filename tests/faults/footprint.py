"""Resident memory and descriptors of our programs over a campaign, looked at from outside."""

import contextlib
import os
import threading
import time

WARM_S = 20  # a process that is younger still fills its pools and caches
OLD_S = 15 * 60
# One burst of work that needed more leaves a step behind, which is no leak: in a life of a quarter of an
# hour it is a slope as well.
STEP_KIB = 4096


def footprint(pid):
    """(resident KiB, descriptors), or None where the process is gone."""
    with contextlib.suppress(OSError, StopIteration):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            resident = next(line for line in f if line.startswith("VmRSS:"))
        return int(resident.split()[1]), len(os.listdir(f"/proc/{pid}/fd"))
    return None


def slope(samples):
    """Of a line through [(seconds, value)], in value a minute."""
    n = len(samples)
    if n < 2:
        return 0.0
    mean_t = sum(t for t, _ in samples) / n
    mean_v = sum(v for _, v in samples) / n
    spread = sum((t - mean_t) ** 2 for t, _ in samples)
    return 60 * sum((t - mean_t) * (v - mean_v) for t, v in samples) / spread if spread else 0.0


class Life:
    """One process of a program."""

    def __init__(self, name, pid):
        self.name, self.pid, self.born = name, pid, time.monotonic()
        self.samples = []  # (seconds since birth, resident KiB, descriptors)

    def slopes(self):
        """Of resident KiB and of descriptors, a minute, once it was warm."""
        warm = [s for s in self.samples if s[0] >= WARM_S]
        return tuple(slope([(s[0], s[n]) for s in warm]) for n in (1, 2))

    def take(self):
        found = footprint(self.pid)
        if found:
            self.samples.append((time.monotonic() - self.born, *found))


class Footprints(threading.Thread):
    def __init__(self, programs, every_s=1.0):
        super().__init__(daemon=True)
        self.programs, self.every_s = programs, every_s
        self.lives, self.ended = {}, threading.Event()

    def run(self):
        while not self.ended.wait(self.every_s):
            for program in self.programs:
                if pid := program.pid:
                    self.lives.setdefault((program.name, pid), Life(program.name, pid)).take()

    def stop(self):
        self.ended.set()
        self.join()

    def figures(self):
        """{name: figures}: the largest of all its lives; slopes of the longest, once it was warm."""
        found = {}
        for name in sorted({name for name, _ in self.lives}):
            lives = [life for life in self.lives.values() if life.name == name and life.samples]
            longest = max(lives, key=lambda life: life.samples[-1][0])
            slopes = longest.slopes()
            found[name] = {
                "lives": len(lives),
                "longest s": round(longest.samples[-1][0]),
                "MiB max": round(max(s[1] for life in lives for s in life.samples) / 1024, 1),
                "MiB end": round(lives[-1].samples[-1][1] / 1024, 1),
                "KiB/min": round(slopes[0], 1),
                "fds max": max(s[2] for life in lives for s in life.samples),
                "fds end": lives[-1].samples[-1][2],
                "fds/min": round(slopes[1], 2)}
        return found

    def leaks(self, limit):
        """(program, KiB a minute) of each process that lived long and grew all the time by more than
        `limit` KiB a minute, to more than a step."""
        for life in list(self.lives.values()):
            seconds = life.samples[-1][0] if life.samples else 0
            if seconds > OLD_S:
                rise = life.slopes()[0]
                if rise > limit and rise * seconds / 60 > STEP_KIB:
                    yield life.name, round(rise, 1)
