"""The judge of a soak refuses what is not flat, and nothing else: on series as a soak has them."""

import os
import random
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), HERE]
from soak_judge import Judge  # noqa: E402

BEGIN_S, END_S, EVERY_S = 720, 7200, 10  # two hours, warm-up left out
CHANCE = random.Random(5)


def series(value, every_s=EVERY_S):
    """value(hours since the warm-up) at each moment."""
    return [(at, value((at - BEGIN_S) / 3600)) for at in range(BEGIN_S, END_S, every_s)]


def pages(kib):
    return 4 * round(kib / 4)


class SoakJudge(unittest.TestCase):
    def faults(self, kind, *arguments):
        judge = Judge()
        getattr(judge, kind)("it", *arguments)
        return judge.faults

    def refuse(self, *arguments):
        self.assertEqual(len(self.faults(*arguments)), 1)

    def accept(self, *arguments):
        self.assertEqual(self.faults(*arguments), [])

    def test_sixteen_bytes_a_call_are_a_leak_at_ten_calls_a_second(self):
        leak = 16 * 10 * 3600 / 1024  # KiB an hour, in blocks of 132 as malloc takes them
        self.refuse("memory", series(lambda h: 10_000 + 132 * int(leak * h / 132)))
        self.refuse("memory", series(lambda h: pages(10_000 + leak * h + CHANCE.gauss(0, 40))))

    def test_noise_and_one_step_are_no_leak(self):
        self.accept("memory", series(lambda h: pages(10_000 + CHANCE.gauss(0, 200))))
        self.accept("memory", series(lambda h: 10_000 + (2_000 if h > 1.1 else 0)))
        self.accept("memory", series(lambda h: 10_000 - 900 * h))

    def test_a_large_program_has_two_percent(self):
        self.accept("memory", series(lambda h: 50_000 + 800 * h))
        self.refuse("memory", series(lambda h: 50_000 + 1_200 * h))

    def test_descriptors_that_are_not_closed(self):
        self.refuse("descriptors", series(lambda h: 40 + int(3 * h)))
        self.accept("descriptors", series(lambda h: 40 + CHANCE.choice((0, 0, 1, 4))))

    def test_latency_that_grows(self):
        self.refuse("latency", series(lambda h: 10 + 6 * h, 60))
        self.accept("latency", series(lambda h: 10 + CHANCE.uniform(0, 3), 60))
        self.accept("latency", series(lambda h: 1 + h, 60))  # below what a busy machine does by itself
        self.accept("latency", series(lambda h: 900 if 0.8 < h < 0.9 else 10, 60))

    def test_tables_and_the_backlog(self):
        self.refuse("size", series(lambda h: 300 + 2_000 * h), 600)
        self.accept("size", series(lambda h: 300 + CHANCE.uniform(0, 300)), 600)
        self.refuse("most", series(lambda h: 7_000 if 1 < h < 1.01 else 0), 6_000)
        self.accept("most", series(lambda h: 5_000 if 1 < h < 1.01 else 0), 6_000)


if __name__ == "__main__":
    unittest.main()
