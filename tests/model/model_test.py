"""Checks the model of outbox, relay and inbox (outbox.pml) with spin: every run of it for the settings
below, and that each safeguard, taken away, has a run that breaks a promise.

    model_test.py            what the suite runs
    model_test.py --deep     more faults at a time: some minutes, at most 8 GB
"""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY_MB = {"suite": 2000, "deep": 8000}
SECONDS = {"suite": 120, "deep": 1800}

KILL_RELAY, END_SESSION, LOSE_ANSWER, REFUSE, KILL_CONSUMER, REBALANCE, FAIL = (
    1 << n for n in range(7))
ALL = 127
REDIS = {"BROKER": 1}

# What holds: name, settings.
HOLDS = [
    ("Kafka, nothing fails", {"CONSUMERS": 2}),
    ("Kafka, any one fault", {"CONSUMERS": 2, "FAULTS": 1, "MAY": ALL}),
    ("Redis, one replica, nothing fails: in order", {**REDIS, "CONSUMERS": 1}),
    ("Redis, any one fault, order not promised",
     {**REDIS, "CONSUMERS": 2, "FAULTS": 1, "MAY": ALL, "UNORDERED": 1}),
    ("swap of the broker, nothing fails", {"CONSUMERS": 1, "SWAP": 1}),
    ("swap, a relay is killed", {"CONSUMERS": 1, "SWAP": 2, "FAULTS": 1, "MAY": KILL_RELAY}),
    ("swap, a session ends", {"CONSUMERS": 1, "SWAP": 2, "FAULTS": 1, "MAY": END_SESSION}),
]
DEEP = [
    ("Kafka, any two faults", {"CONSUMERS": 2, "FAULTS": 2, "MAY": ALL}),
    ("Kafka, any three faults of relays",
     {"CONSUMERS": 1, "FAULTS": 3, "MAY": KILL_RELAY | END_SESSION | LOSE_ANSWER}),
    ("swap from the start, a relay is killed",
     {"CONSUMERS": 1, "SWAP": 1, "FAULTS": 1, "MAY": KILL_RELAY}),
    ("swap from the start, a session ends",
     {"CONSUMERS": 1, "SWAP": 1, "FAULTS": 1, "MAY": END_SESSION}),
    ("swap, any one fault", {"CONSUMERS": 2, "SWAP": 2, "FAULTS": 1, "MAY": ALL}),
    ("swap, two sessions end", {"CONSUMERS": 1, "SWAP": 2, "FAULTS": 2, "MAY": END_SESSION}),
]

# What is not promised, and happens: name, settings, what breaks.
LOST, ORDER, TWICE, UNACCEPTED = "lost", "order", "twice", "marked and in no broker"
EXAMPLES = [
    ("Redis, two replicas", {**REDIS, "CONSUMERS": 2}, ORDER),
    ("Redis, a replica is killed",
     {**REDIS, "CONSUMERS": 1, "FAULTS": 1, "MAY": KILL_CONSUMER}, ORDER),
]
KAFKA_1 = {"CONSUMERS": 2, "FAULTS": 1, "MAY": ALL}
SWAP_0 = {"CONSUMERS": 1, "SWAP": 1}
SESSIONS_2 = {"CONSUMERS": 1, "SWAP": 2, "FAULTS": 2, "MAY": END_SESSION}
# Safeguard, by its name in outbox.pml: settings, what breaks without it.
WITHOUT = {
    "ONE_TRANSACTION": (KAFKA_1, LOST),
    "ROW_LOCK": (KAFKA_1, ORDER),
    "ONE_OF_A_KEY": (KAFKA_1, ORDER),
    "MARK_AFTER_ANSWER": (KAFKA_1, UNACCEPTED),
    "TERM_IN_MARK": (SESSIONS_2, LOST),
    "FRESH_TERM": (SESSIONS_2, LOST),
    "REPLAY": (SWAP_0, LOST),
    "NAME_LAST": ({**SWAP_0, "FAULTS": 1, "MAY": KILL_RELAY}, LOST),
    "FORGET": (SWAP_0, LOST),
    "ASK_FIRST": (SWAP_0, ORDER),
    "INBOX": (KAFKA_1, TWICE),
    "INBOX_WITH_EFFECT": (KAFKA_1, LOST),
    "EFFECT_WITH_INBOX": (KAFKA_1, TWICE),
    "EFFECT_BEFORE_ACK": (KAFKA_1, LOST),
    "LETTER_BEFORE_ACK": ({"CONSUMERS": 1, "FAULTS": 2, "MAY": KILL_CONSUMER | FAIL}, LOST),
    "LETTER_IS_MARKED": (KAFKA_1, LOST),
    "KEY_IN_HAND": (KAFKA_1, ORDER),
    "MARK_FIRST": (SWAP_0, LOST),
}
# What the checker says, by the promise that it is about; `judge` stands for the end of a run.
BROKEN = [("accepted", UNACCEPTED), ("stamp", ORDER), ("changed[e]&&", LOST), ("applied[e]==1", TWICE)]


class Model:
    def __init__(self, folder, mode):
        self.folder, self.mode = folder, mode
        source = os.path.join(HERE, "outbox.pml")
        with open(source, encoding="utf-8") as f:
            self.numbers = dict(re.findall(r"^#define ([A-Z_]+) +(\d+) +/\*", f.read(), re.M))
        subprocess.run(["spin", "-a", source], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE",
                        f"-DMEMLIM={MEMORY_MB[mode]}", "-o", "pan", "pan.c"],
                       cwd=folder, check=True)

    def check(self, settings, without=None):
        """(states, what broke or None). A search that did not end is an error."""
        env = {**os.environ, **{name: str(value) for name, value in settings.items()}}
        env["WITHOUT"] = self.numbers[without] if without else "0"
        run = subprocess.run(["./pan", "-m1000000", "-w22"], cwd=self.folder, env=env, text=True,
                             stdout=subprocess.PIPE, timeout=SECONDS[self.mode], check=False)
        states = re.search(r"(\d+) states, stored", run.stdout)
        errors = re.search(r"errors: (\d+)", run.stdout)
        said = re.search(r"^pan:1: (.*)", run.stdout, re.M)
        is_whole = "Search not completed" not in run.stdout and "max search depth" not in run.stdout
        if not states or not errors or (errors[1] == "0" and not is_whole):
            raise AssertionError(f"the search did not end: {settings}\n{run.stdout[-2000:]}")
        return int(states[1]), self.what_broke(said[1]) if said else None

    @staticmethod
    def what_broke(text):
        for word, promise in BROKEN:
            if "assertion violated" in text and word in text:
                return promise
        return text


def main():
    mode = "deep" if sys.argv[1:] == ["--deep"] else "suite"
    wrong = []

    def expect(name, expected, result):
        states, broke = result
        print(f"{states:>10,}  {name}: {broke or 'holds'}", flush=True)
        if broke != expected:
            wrong.append(f"{name}: {broke or 'holds'}, expected: {expected or 'holds'}")

    with tempfile.TemporaryDirectory(prefix="todo-model-") as folder:
        model = Model(folder, mode)
        for name, settings in HOLDS + (DEEP if mode == "deep" else []):
            expect(name, None, model.check(settings))
        for name, settings, promise in EXAMPLES:
            expect(name, promise, model.check(settings))
        for name, (settings, promise) in WITHOUT.items():
            expect(f"without {name}", promise, model.check(settings, name))
            # What breaks is the safeguard's doing alone.
            if settings is not KAFKA_1 and settings is not SWAP_0 and mode == "deep":
                expect(f"with {name}", None, model.check(settings))
    for line in wrong:
        print("wrong:", line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
