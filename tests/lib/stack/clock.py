"""The wall clock of a program, which may be set while it runs (libfaketime). Its monotonic clock goes on
as it was, as when an administrator sets a machine's time."""

import os

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


class Clock:
    """`path`: where its offset is kept; `env`: what the program is started with."""

    def __init__(self, path):
        self.path = path
        self.env = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": path,
                    "FAKETIME_CACHE_DURATION": "1", "DONT_FAKE_MONOTONIC": "1"}
        if not os.path.exists(FAKETIME):
            raise SystemExit(f"{FAKETIME} is missing: apt-get install libfaketime")
        self.set(0)

    def set(self, offset_s):
        """Seen within a second."""
        with open(self.path + ".new", "w", encoding="ascii") as f:
            f.write(f"{offset_s:+d}s\n")
        os.rename(self.path + ".new", self.path)
