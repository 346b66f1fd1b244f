"""What python-dateutil says about a series: an implementation that shares nothing with ours.

Handed to it are naive wall-clock times; zoneinfo makes them UTC. Two things are done here: COUNT
counts the first due date whether or not it is in step with the rule (RFC 5545 section 3.3.10), and
BYDAY that lists weekdays with and without a place (MO,-1FR) is the union of both, where dateutil
takes the intersection, and for 60 years only. The first week of a WEEKLY rule with BYSETPOS is a
whole one, as months and years are, where dateutil begins it with the start."""

import datetime
import itertools
import re
import zoneinfo

from dateutil.rrule import rrulestr

UTC = datetime.timezone.utc


def to_epoch(wall, zone):
    """RFC 5545 section 3.3.5: fold=0 is the first of two times, and the offset before a gap."""
    return int(wall.replace(tzinfo=zoneinfo.ZoneInfo(zone)).astimezone(UTC).timestamp())


def split_rule(rule):
    rule, *lines = rule.split("\n")
    parts = dict(part.split("=") for part in rule.split(";"))
    exdates = [value for line in lines for value in line.split(":")[1].split(",")]
    return parts, exdates


def mixed_days(parts):
    days = parts.get("BYDAY", "").split(",")
    plain = [d for d in days if len(d) == 2]
    placed = [d for d in days if len(d) > 2]
    return (plain, placed) if plain and placed else None


def is_left_out(wall, epoch, exdates):
    utc = datetime.datetime.fromtimestamp(epoch, UTC)
    return any(text in (wall.strftime("%Y%m%d"), wall.strftime("%Y%m%dT%H%M%S"),
                        utc.strftime("%Y%m%dT%H%M%SZ")) for text in exdates)


def is_past(wall, epoch, until):
    if until is None:
        return False
    if len(until) == 8:
        return wall.strftime("%Y%m%d") > until
    limit = datetime.datetime.strptime(until, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return epoch > limit.timestamp()


def walls(parts, start):
    """The rule's own wall-clock times from the start on, without COUNT and UNTIL."""
    text = ";".join(f"{k}={v}" for k, v in parts.items() if k not in ("COUNT", "UNTIL"))
    if parts["FREQ"] == "WEEKLY" and "BYSETPOS" in parts:
        first = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"].index(parts.get("WKST", "MO"))
        start -= datetime.timedelta(days=(start.weekday() - first) % 7)
    mixed = mixed_days(parts)
    if mixed is None:
        return iter(rrulestr(text, dtstart=start))
    assert "BYSETPOS" not in parts, "a union of two rules has no places"
    both = []
    for days in mixed:
        one = re.sub("BYDAY=[^;]*", "BYDAY=" + ",".join(days), text)
        both.append(itertools.takewhile(lambda t: t.year < start.year + 60,
                                        rrulestr(one, dtstart=start)))
    return iter(sorted(set(itertools.chain(*both))))


def occurrences(rule, start, zone, limit):
    """The due times in seconds since 1970, and why there are no more: "more" (the limit), "ended",
    or "horizon" (there are none up to the year 9999, or 60 years)."""
    parts, exdates = split_rule(rule)
    found = [to_epoch(start, zone)]
    number = 1
    for wall in walls(parts, start):
        if wall <= start:
            continue
        if len(found) == limit:
            return found, "more"
        number += 1
        epoch = to_epoch(wall, zone)
        if number > int(parts.get("COUNT", 10**9)) or is_past(wall, epoch, parts.get("UNTIL")):
            return found, "ended"
        if not is_left_out(wall, epoch, exdates):
            found.append(epoch)
    return found, "horizon"
