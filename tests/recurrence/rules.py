"""Rules to try: a list of all sorts, the worked examples of RFC 5545, and random ones."""

import itertools

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def family(base, *choices):
    for picked in itertools.product(*choices):
        yield ";".join([base, *[p for p in picked if p]])


def all_sorts():
    rules = []
    rules += family("FREQ=DAILY", ["", "INTERVAL=2", "INTERVAL=10", "INTERVAL=365"],
                    ["", "BYMONTH=2", "BYMONTH=1,12", "BYDAY=MO,TU,WE,TH,FR"])
    rules += family("FREQ=DAILY", ["BYMONTHDAY=1", "BYMONTHDAY=-1", "BYMONTHDAY=31,-2",
                                   "BYMONTHDAY=13;BYDAY=FR", "BYMONTH=2;BYMONTHDAY=29"],
                    ["", "BYSETPOS=1", "BYSETPOS=-1"])
    rules += family("FREQ=WEEKLY", ["", "INTERVAL=2", "INTERVAL=3", "INTERVAL=53"],
                    ["", "BYDAY=MO", "BYDAY=SU,MO", "BYDAY=TU,TH,SA", "BYMONTH=3,10",
                     "BYDAY=MO,WE,FR;BYSETPOS=1,-1"], ["", "WKST=SU", "WKST=WE"])
    rules += family("FREQ=MONTHLY", ["", "INTERVAL=2", "INTERVAL=5"],
                    ["", "BYMONTHDAY=31", "BYMONTHDAY=-1", "BYMONTHDAY=1,15,-1", "BYMONTHDAY=-31",
                     "BYDAY=2TU", "BYDAY=-1FR", "BYDAY=1MO,-1MO", "BYDAY=5SU", "BYDAY=-5WE",
                     "BYDAY=FR;BYMONTHDAY=13", "BYDAY=2SA;BYMONTHDAY=8,9,10,11,12,13,14",
                     "BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "BYDAY=TU,WE,TH;BYSETPOS=3",
                     "BYDAY=SA,SU;BYSETPOS=1,2,-1", "BYMONTHDAY=28,29,30,31;BYSETPOS=-1",
                     "BYDAY=MO,-1FR", "BYMONTH=2,4,6", "BYMONTH=1,2,3;BYDAY=1SU"])
    rules += family("FREQ=YEARLY", ["", "INTERVAL=2", "INTERVAL=4"],
                    ["", "BYMONTH=2;BYMONTHDAY=29", "BYMONTH=2;BYMONTHDAY=-1", "BYMONTHDAY=1",
                     "BYMONTHDAY=-1,15", "BYMONTH=1,6,12", "BYDAY=20MO", "BYDAY=-1SU",
                     "BYDAY=53TH", "BYDAY=-53FR", "BYDAY=TH", "BYMONTH=3;BYDAY=TH",
                     "BYMONTH=11;BYDAY=4TH", "BYMONTH=6,7,8;BYDAY=1MO,-1MO",
                     "BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "BYDAY=FR;BYMONTHDAY=13",
                     "BYDAY=1MO;BYMONTHDAY=1,2,3", "BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-1",
                     "BYMONTH=3,9;BYDAY=SU;BYSETPOS=-1", "BYMONTHDAY=1;BYSETPOS=4,-1",
                     "BYDAY=MO,-1FR"])
    rules += family("FREQ=DAILY", ["COUNT=1", "COUNT=2", "COUNT=40", "INTERVAL=3;COUNT=7",
                                   "UNTIL=20260401", "UNTIL=20260401T120000Z",
                                   "UNTIL=20260329T013000Z", "UNTIL=20260329"])
    rules += family("FREQ=MONTHLY", ["BYMONTHDAY=31;COUNT=10", "BYDAY=-1MO;UNTIL=20301231",
                                     "BYDAY=SA;BYSETPOS=-1;COUNT=50", "UNTIL=20280131T000000Z"])
    rules += ["FREQ=DAILY\nEXDATE:20260329", "FREQ=DAILY;COUNT=10\nEXDATE:20260330,20260402",
              "FREQ=WEEKLY;BYDAY=MO,FR\nEXDATE;VALUE=DATE:20261225\nEXDATE:20270101",
              "FREQ=WEEKLY;COUNT=5\nEXDATE:20260404T023000,20260411T023000",
              "FREQ=MONTHLY;BYDAY=1MO;UNTIL=20271231\nEXDATE:20270104,20270201"]
    return rules


def _each(month, days, year, hour=9):
    return [(year, month, d, hour) for d in days]


# RFC 5545 section 3.8.5.3, the examples with the parts that a task may have: the rule, the start
# (9 o'clock in New York), and the dates that the text lists. True: the list is the whole series.
WORKED = [
    ("FREQ=DAILY;COUNT=10", "19970902", "19970902-19970911", True),
    ("FREQ=DAILY;UNTIL=19971224T000000Z", "19970902", "19970902-19971223", True),
    ("FREQ=DAILY;INTERVAL=2", "19970902", "19970902 19970904 19970906 19970908", False),
    ("FREQ=DAILY;INTERVAL=10;COUNT=5", "19970902",
     "19970902 19970912 19970922 19971002 19971012", True),
    ("FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA", "19980101",
     "19980101-19980131 19990101-19990131 20000101-20000131", True),
    ("FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1", "19980101",
     "19980101-19980131 19990101-19990131 20000101-20000131", True),
    ("FREQ=WEEKLY;COUNT=10", "19970902",
     "19970902 19970909 19970916 19970923 19970930 19971007 19971014 19971021 19971028 19971104",
     True),
    ("FREQ=WEEKLY;UNTIL=19971224T000000Z", "19970902",
     "19970902 19970909 19970916 19970923 19970930 19971007 19971014 19971021 19971028 19971104"
     " 19971111 19971118 19971125 19971202 19971209 19971216 19971223", True),
    ("FREQ=WEEKLY;INTERVAL=2;WKST=SU", "19970902",
     "19970902 19970916 19970930 19971014 19971028 19971111 19971125 19971209 19971223", False),
    ("FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH", "19970902",
     "19970902 19970904 19970909 19970911 19970916 19970918 19970923 19970925 19970930 19971002",
     True),
    ("FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH", "19970902",
     "19970902 19970904 19970909 19970911 19970916 19970918 19970923 19970925 19970930 19971002",
     True),
    ("FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR", "19970901",
     "19970901 19970903 19970905 19970915 19970917 19970919 19970929 19971001 19971003 19971013"
     " 19971015 19971017 19971027 19971029 19971031 19971110 19971112 19971114 19971124 19971126"
     " 19971128 19971208 19971210 19971212 19971222", True),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH", "19970902",
     "19970902 19970904 19970916 19970918 19970930 19971002 19971014 19971016", True),
    ("FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "19970905",
     "19970905 19971003 19971107 19971205 19980102 19980206 19980306 19980403 19980501 19980605",
     True),
    ("FREQ=MONTHLY;UNTIL=19971224T000000Z;BYDAY=1FR", "19970905",
     "19970905 19971003 19971107 19971205", True),
    ("FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU", "19970907",
     "19970907 19970928 19971102 19971130 19980104 19980125 19980301 19980329 19980503 19980531",
     True),
    ("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "19970922",
     "19970922 19971020 19971117 19971222 19980119 19980216", True),
    ("FREQ=MONTHLY;BYMONTHDAY=-3", "19970928",
     "19970928 19971029 19971128 19971229 19980129 19980226", False),
    ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15", "19970902",
     "19970902 19970915 19971002 19971015 19971102 19971115 19971202 19971215 19980102 19980115",
     True),
    ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1", "19970930",
     "19970930 19971001 19971031 19971101 19971130 19971201 19971231 19980101 19980131 19980201",
     True),
    ("FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15", "19970910",
     "19970910-19970915 19990310-19990313", True),
    ("FREQ=MONTHLY;INTERVAL=2;BYDAY=TU", "19970902",
     "19970902 19970909 19970916 19970923 19970930 19971104 19971111 19971118 19971125 19980106"
     " 19980113 19980120 19980127 19980303 19980310 19980317 19980324 19980331", False),
    ("FREQ=YEARLY;COUNT=10;BYMONTH=6,7", "19970610",
     "19970610 19970710 19980610 19980710 19990610 19990710 20000610 20000710 20010610 20010710",
     True),
    ("FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3", "19970310",
     "19970310 19990110 19990210 19990310 20010110 20010210 20010310 20030110 20030210 20030310",
     True),
    ("FREQ=YEARLY;BYDAY=20MO", "19970519", "19970519 19980518 19990517", False),
    ("FREQ=YEARLY;BYMONTH=3;BYDAY=TH", "19970313",
     "19970313 19970320 19970327 19980305 19980312 19980319 19980326 19990304 19990311 19990318"
     " 19990325", False),
    ("FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8", "19970605",
     "19970605 19970612 19970619 19970626 19970703 19970710 19970717 19970724 19970731 19970807"
     " 19970814 19970821 19970828 19980604", False),
    ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13\nEXDATE:19970902T090000", "19970902",
     "19970902 19980213 19980313 19981113 19990813 20001013", False),
    ("FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13", "19970913",
     "19970913 19971011 19971108 19971213 19980110 19980207 19980307 19980411 19980509 19980613",
     False),
    ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "19961105",
     "19961105 20001107 20041102", False),
    ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "19970904",
     "19970904 19971007 19971106", True),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "19970929",
     "19970929 19971030 19971127 19971230 19980129 19980226 19980330", False),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "19970805",
     "19970805 19970810 19970819 19970824", True),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "19970805",
     "19970805 19970817 19970819 19970831", True),
    ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "20070115",
     "20070115 20070130 20070215 20070315 20070330", True),
]


def random_rule(draw, start):
    """A rule that comes true now and then: dateutil looks until the year 9999 for one that never
    does."""
    freq = draw.choice(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
    parts = {"FREQ": freq}
    if draw.random() < 0.5:
        parts["INTERVAL"] = draw.choice([1, 2, 2, 3, 4, 5, 6, 9, 12, 25])
    if draw.random() < 0.35:
        months = {start.month, *draw.sample(range(1, 13), draw.randint(0, 4))}
        parts["BYMONTH"] = ",".join(map(str, draw.sample(sorted(months), len(months))))
    if freq != "WEEKLY" and draw.random() < 0.35:
        parts["BYMONTHDAY"] = ",".join(
            map(str, draw.sample([d for d in range(-31, 32) if d], draw.randint(1, 8))))
    if draw.random() < 0.5:
        parts["BYDAY"] = ",".join(random_days(draw, freq, "BYMONTH" in parts))
    places = random_places(draw, parts)
    if places:
        parts["BYSETPOS"] = places
    if draw.random() < 0.4:
        parts["WKST"] = draw.choice(DAYS)
    return ";".join(f"{k}={v}" for k, v in parts.items()) + random_end(draw, start)


def random_days(draw, freq, has_months):
    days = draw.sample(DAYS, draw.randint(1, 5))
    if freq in ("MONTHLY", "YEARLY") and draw.random() < 0.5:
        last = 5 if freq == "MONTHLY" or has_months else 53
        return [f"{draw.choice([n for n in range(-last, last + 1) if n])}{d}"
                if draw.random() < 0.8 else d for d in days]
    return days


def random_places(draw, parts):
    days = parts.get("BYDAY", "").split(",")
    is_mixed = len({len(d) > 2 for d in days}) > 1
    if is_mixed or draw.random() < 0.6:
        return None
    if parts["FREQ"] in ("DAILY", "WEEKLY"):
        return draw.choice(["1", "-1", "1,-1"]) if "BYDAY" in parts else None
    if any(p in parts for p in ("BYDAY", "BYMONTHDAY", "BYMONTH")):
        return ",".join(map(str, draw.sample([-3, -2, -1, 1, 2, 3], draw.randint(1, 2))))
    return None


def random_end(draw, start):
    kind = draw.random()
    if kind < 0.2:
        return f";COUNT={draw.randint(1, 80)}"
    if kind < 0.3:
        return f";UNTIL={start.year + draw.randint(0, 9)}1109"
    if kind < 0.4:
        return f";UNTIL={start.year + draw.randint(0, 9)}0605T13{draw.randint(0, 59):02}00Z"
    return ""
