"""What a script tells: a line for each check or step with its time, at the end what does not hold; or
all of it as one JSON object."""

import contextlib
import json
import sys
import time


class Failure(Exception):
    """What does not hold, in words for an operator. `mend`: what to do about it."""

    def __init__(self, found, mend=""):
        super().__init__(found)
        self.mend = mend


def until(condition, seconds, what):
    """The first value of condition() that is true; a Failure in it means: not yet."""
    end, last = time.monotonic() + seconds, ""
    while True:
        try:
            value = condition()
        except Failure as failure:
            value, last = None, f"; the last answer: {failure}"
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"{what} did not come within {seconds:g} s{last}")
        time.sleep(0.05)


class Report:
    def __init__(self, script, site, as_json):
        self.script, self.site, self.as_json = script, site, as_json
        self.entries, self.began = [], time.monotonic()

    def say(self, text):
        print(text, file=sys.stderr if self.as_json else sys.stdout, flush=True)

    @contextlib.contextmanager
    def step(self, name, why="", limit_s=None):
        """A Failure in it is noted and raised on. The value that it gives has `found`, for what a
        reader should see, and takes part in the time: over `limit_s` the step has failed."""
        entry = {"name": name, "why": why, "ok": False, "found": "", "seconds": 0.0}
        if limit_s:
            entry["limit_seconds"] = limit_s
        self.entries.append(entry)
        began = time.monotonic()
        try:
            yield entry
            entry["ok"] = True
            if limit_s and time.monotonic() - began > limit_s:
                raise Failure(f"it took longer than {limit_s} s: {entry['found']}")
        except Failure as failure:
            entry.update(ok=False, found=str(failure), mend=failure.mend)
            raise
        except BaseException as error:
            entry.update(ok=False, found=repr(error))
            raise
        finally:
            entry["seconds"] = round(time.monotonic() - began, 2)
            self._print(entry)

    def check(self, name, why, function):
        """A step whose failure does not end the others."""
        with contextlib.suppress(Failure), self.step(name, why) as entry:
            try:
                entry["found"] = function() or ""
            except Failure as failure:
                raise Failure(str(failure), failure.mend or "its log says more") from failure

    def _print(self, entry):
        limit = f" of {entry['limit_seconds']:g}" if "limit_seconds" in entry else ""
        self.say(f"{'ok  ' if entry['ok'] else 'FAIL'} {entry['name']:24} {entry['found']}"
                 f" ({entry['seconds']:.1f}{limit} s)")
        if not entry["ok"] and not self.as_json:
            for title, key in (("why it matters", "why"), ("what to do", "mend")):
                if entry.get(key):
                    self.say(f"     {title}: {entry[key]}")

    @property
    def is_ok(self):
        return all(entry["ok"] for entry in self.entries)

    def finish(self):
        """The exit code."""
        seconds = round(time.monotonic() - self.began, 2)
        failed = [entry["name"] for entry in self.entries if not entry["ok"]]
        if self.as_json:
            print(json.dumps({"script": self.script, "site": self.site, "ok": self.is_ok,
                              "seconds": seconds, "failed": failed, "checks": self.entries},
                             indent=2))
        else:
            print(f"{len(self.entries) - len(failed)} of {len(self.entries)} ok in {seconds:.1f} s"
                  + (f"; not ok: {', '.join(failed)}" if failed else ""))
        return 0 if self.is_ok else 1
