"""Each occurrence of many rules, one by one, against python-dateutil, the examples of RFC 5545 and
what clocks do."""

import datetime
import os
import random
import subprocess
import unittest
import zoneinfo

import oracle
import rules

ZONES = ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata",
         "America/Santiago"]
# Starts that stand in the way of clocks that go forward or back, and ends of months.
STARTS = [datetime.datetime(2026, 3, 28, 2, 30), datetime.datetime(2024, 2, 29, 9, 0),
          datetime.datetime(2026, 1, 31, 23, 45), datetime.datetime(2025, 10, 26, 2, 15)]
LIMIT = 80


def ask(series):
    """Ours: [(due times, last word)] for [(rule, start as seconds since 1970, zone, limit)]."""
    lines = "".join("%d\t%s\t%d\t%s\n" % (limit, zone, start, rule.replace("\n", "\\n"))
                    for rule, start, zone, limit in series)
    out = subprocess.run([os.environ["TODO_OCCURRENCES"]], input=lines, text=True, check=True,
                         stdout=subprocess.PIPE, timeout=120).stdout.splitlines()
    answers = []
    for line in out:
        if line.startswith("refused"):
            answers.append(([], line))
            continue
        *times, word = line.split()
        answers.append(([int(t) for t in times], word))
    return answers


def show(epochs, zone):
    return [datetime.datetime.fromtimestamp(e, zoneinfo.ZoneInfo(zone)).isoformat()
            for e in epochs]


class OccurrenceTest(unittest.TestCase):
    maxDiff = None

    def compare(self, series):
        """[(rule, start on the wall, zone)]; returns how many occurrences were compared."""
        asked = [(rule, oracle.to_epoch(start, zone), zone, LIMIT) for rule, start, zone in series]
        answers = ask(asked)
        self.assertEqual(len(answers), len(series))
        total = 0
        for (rule, start, zone), (got, word) in zip(series, answers):
            # A start that clocks skip is, as a due date, the time after the gap.
            start = datetime.datetime.fromtimestamp(
                oracle.to_epoch(start, zone), zoneinfo.ZoneInfo(zone)).replace(tzinfo=None)
            wanted, end = oracle.occurrences(rule, start, zone, LIMIT)
            if not self.agree(got, word, wanted, end):
                self.fail(f"{rule!r} from {start} in {zone}\n got {word} {show(got, zone)}\n"
                          f" not {end} {show(wanted, zone)}")
            total += len(got)
        return total

    @staticmethod
    def agree(got, word, wanted, end):
        if word == "rare":  # the next one is further away than we look
            century = 100 * 365 * 86400
            return got == wanted[:len(got)] and (
                len(got) == len(wanted) or wanted[len(got)] - got[-1] > century)
        if end == "horizon":
            return wanted == got[:len(wanted)]
        # The limit may be reached just where the series ends.
        return got == wanted and (word == end or len(got) == LIMIT)

    def test_rules_of_all_sorts_agree_with_dateutil(self):
        every = rules.all_sorts()
        self.assertGreaterEqual(len(set(every)), 200)
        series = [(rule, start, ZONES[(i + j) % len(ZONES)])
                  for i, rule in enumerate(every) for j, start in enumerate(STARTS)]
        total = self.compare(series)
        print(f"{len(every)} rules, {len(series)} series, {total} occurrences")
        self.assertGreater(total, 50000)

    def test_each_rule_agrees_with_dateutil_in_five_time_zones(self):
        every = rules.all_sorts()
        self.compare([(rule, STARTS[0], zone) for rule in every for zone in ZONES])

    def test_a_thousand_random_rules_agree_with_dateutil(self):
        seed = int(os.environ.get("TODO_SEED", random.SystemRandom().randrange(10**6)))
        print(f"seed {seed} (TODO_SEED={seed} repeats it)")
        draw = random.Random(seed)
        series = []
        for _ in range(1000):
            start = datetime.datetime(draw.randint(1975, 2090), draw.randint(1, 12), 1,
                                      draw.choice([0, 1, 2, 3, 12, 23]), draw.choice([0, 30, 59]))
            start += datetime.timedelta(days=draw.randint(0, 30))
            series.append((rules.random_rule(draw, start), start, draw.choice(ZONES)))
        print(f"{self.compare(series)} occurrences")

    def test_the_worked_examples_of_rfc_5545(self):
        zone = "America/New_York"
        for rule, first, listed, is_whole in rules.WORKED:
            wanted = []
            for item in listed.split():
                days = [datetime.datetime.strptime(t, "%Y%m%d") for t in item.split("-")]
                day = days[0]
                while day <= days[-1]:
                    wanted.append(oracle.to_epoch(day.replace(hour=9), zone))
                    day += datetime.timedelta(days=1)
            start = oracle.to_epoch(datetime.datetime.strptime(first + "09", "%Y%m%d%H"), zone)
            got, word = ask([(rule, start, zone, len(wanted) + (1 if is_whole else 0))])[0]
            self.assertEqual(show(got, zone), show(wanted, zone), rule)
            self.assertEqual(word, "ended" if is_whole else "more", rule)

    def test_every_time_zone_has_the_offsets_that_zoneinfo_gives(self):
        start = datetime.datetime(2023, 1, 1, 2, 30)
        for zone in sorted(zoneinfo.available_timezones() - {"localtime", "Factory"}):
            got, _ = ask([("FREQ=DAILY", oracle.to_epoch(start, zone), zone, 1500)])[0]
            first = datetime.datetime.fromtimestamp(got[0], zoneinfo.ZoneInfo(zone))
            wanted = [oracle.to_epoch(first.replace(tzinfo=None) + datetime.timedelta(days=i), zone)
                      for i in range(1500)]
            self.assertEqual(got, wanted, zone)

    def check(self, rule, start, zone, *wanted, word="more"):
        begin = int(datetime.datetime.fromisoformat(start).timestamp())
        limit = len(wanted) + (0 if word == "more" else 1)
        got, last = ask([(rule, begin, zone, limit)])[0]
        self.assertEqual((show(got, zone), last), (list(wanted), word))

    def test_a_time_that_clocks_skip_is_as_much_later_and_that_day_alone(self):
        self.check("FREQ=DAILY", "2026-03-28T02:30:00+01:00", "Europe/Berlin",
                   "2026-03-28T02:30:00+01:00", "2026-03-29T03:30:00+02:00",
                   "2026-03-30T02:30:00+02:00")
        self.check("FREQ=DAILY", "2026-03-07T02:30:00-05:00", "America/New_York",
                   "2026-03-07T02:30:00-05:00", "2026-03-08T03:30:00-04:00",
                   "2026-03-09T02:30:00-04:00")

    def test_of_a_time_that_comes_twice_the_first_is_taken(self):
        self.check("FREQ=DAILY", "2026-10-24T02:30:00+02:00", "Europe/Berlin",
                   "2026-10-24T02:30:00+02:00", "2026-10-25T02:30:00+02:00",
                   "2026-10-26T02:30:00+01:00")
        # A due date in the second of the two hours goes on by the clock on the wall.
        self.check("FREQ=DAILY", "2026-10-25T02:30:00+01:00", "Europe/Berlin",
                   "2026-10-25T02:30:00+01:00", "2026-10-26T02:30:00+01:00")

    def test_the_time_of_day_stays_through_the_year(self):
        self.check("FREQ=MONTHLY;INTERVAL=3", "2026-01-15T09:00:00+01:00", "Europe/Berlin",
                   "2026-01-15T09:00:00+01:00", "2026-04-15T09:00:00+02:00",
                   "2026-07-15T09:00:00+02:00", "2026-10-15T09:00:00+02:00",
                   "2027-01-15T09:00:00+01:00")

    def test_months_without_the_day_are_left_out(self):
        self.check("FREQ=MONTHLY", "2026-01-31T09:00:00+00:00", "UTC",
                   "2026-01-31T09:00:00+00:00", "2026-03-31T09:00:00+00:00",
                   "2026-05-31T09:00:00+00:00")
        self.check("FREQ=YEARLY", "2096-02-29T09:00:00+00:00", "UTC",
                   "2096-02-29T09:00:00+00:00", "2104-02-29T09:00:00+00:00")

    def test_until_is_a_moment_or_a_day_of_the_time_zone(self):
        start = "2026-06-01T23:30:00-04:00"
        days = ["2026-06-01T23:30:00-04:00", "2026-06-02T23:30:00-04:00",
                "2026-06-03T23:30:00-04:00"]
        for until, count in [("20260602", 2), ("20260604T033000Z", 3), ("20260604T032959Z", 2),
                             ("20260603", 3), ("20260603T000000Z", 1)]:
            self.check(f"FREQ=DAILY;UNTIL={until}", start, "America/New_York", *days[:count],
                       word="ended")

    def test_count_counts_what_exdate_leaves_out_and_a_start_out_of_step(self):
        self.check("FREQ=DAILY;COUNT=4\nEXDATE:20260602", "2026-06-01T12:00:00+00:00", "UTC",
                   "2026-06-01T12:00:00+00:00", "2026-06-03T12:00:00+00:00",
                   "2026-06-04T12:00:00+00:00", word="ended")
        self.check("FREQ=WEEKLY;BYDAY=MO;COUNT=2", "2026-06-03T12:00:00+00:00", "UTC",
                   "2026-06-03T12:00:00+00:00", "2026-06-08T12:00:00+00:00", word="ended")

    def test_the_calendar_ends_with_the_year_9999(self):
        self.check("FREQ=DAILY", "9999-12-30T12:00:00+00:00", "UTC",
                   "9999-12-30T12:00:00+00:00", "9999-12-31T12:00:00+00:00", word="ended")
        self.check("FREQ=YEARLY;INTERVAL=1000", "9026-12-30T12:00:00+00:00", "UTC",
                   "9026-12-30T12:00:00+00:00", word="ended")

    def test_what_never_comes_is_said_soon(self):
        never = ["FREQ=MONTHLY;INTERVAL=12;BYMONTH=2", "FREQ=DAILY;INTERVAL=7;BYDAY=SU",
                 "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6", "FREQ=YEARLY;BYMONTH=2,4,6;BYMONTHDAY=31,30"
                 ";BYDAY=1MO", "FREQ=DAILY;BYDAY=MO;BYSETPOS=2"]
        for rule in never:
            start = datetime.datetime(2026, 1, 31, 9).replace(tzinfo=oracle.UTC)
            begin = datetime.datetime.now()
            got, word = ask([(rule, int(start.timestamp()), "UTC", 3)])[0]
            self.assertEqual((len(got), word), (1, "rare"), rule)
            self.assertLess((datetime.datetime.now() - begin).total_seconds(), 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)
