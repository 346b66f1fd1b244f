"""The public MCP conformance suite against our servers, whole.

    run.py [SCENARIO ...]

The fixture (TODO_FIXTURE) gets every server scenario of both revisions, those that the suite runs
without scoring too; todo-mcp (TODO_MCP) the ones that need nothing but a server. Every failure and
every warning makes the run fail, and so do a scenario that did not run, fewer checks than the
suite is known to have, and a server that ends badly. With SCENARIO only these, on the fixture.
The last line is one JSON object with the totals.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "lib"))
from todo_server import Postgres, Server, server_binary  # noqa: E402

SUITE_SECONDS = 600

# Checks that the suite makes of a server that has all it asks for, informative ones left out.
CHECKS_KNOWN = {"2025-11-25": 84, "2026-07-28": 196}
# The suite's authors have put off these: it skips them whatever the server does.
SKIPPED_KNOWN = {"tasks-status-notifications"}

# What needs no fixture's tools, resources and prompts.
PRODUCT_SCENARIOS = {
    "2025-11-25": ["server-initialize", "ping", "tools-list", "server-session-lifecycle",
                   "server-sse-multiple-streams", "dns-rebinding-protection", "resources-list",
                   "prompts-list"],
    "2026-07-28": ["server-stateless", "tools-list", "caching", "server-sse-multiple-streams",
                   "http-header-validation", "input-required-result-unsupported-methods",
                   "dns-rebinding-protection", "resources-list", "prompts-list",
                   "sep-2164-resource-not-found"],
}
# Checks of those scenarios that need a fixture all the same. One that
# succeeds has no place here: that is a fault too.
PRODUCT_UNTESTABLE = {
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-http-server-no-independent-requests-on-stream",
    "sep-2575-server-no-log-without-loglevel",
    "sep-2575-server-sends-tools-list-changed-on-subscription",
    "sep-2575-server-sends-prompts-list-changed-on-subscription",
}

COUNTED = ("SUCCESS", "FAILURE", "WARNING", "SKIPPED")


class Run:
    """What the suite found on one server in one revision."""

    def __init__(self, server, revision):
        self.server = server
        self.revision = revision
        self.scenarios = 0
        self.counts = collections.Counter()
        self.faults = []

    def fault(self, scenario, text):
        self.faults.append(f"{self.server} {self.revision} {scenario}: {text}")

    def add(self, scenario, checks, untestable=frozenset()):
        self.scenarios += 1
        for check in checks:
            status = check["status"]
            if status not in COUNTED:
                continue
            if check["id"] in untestable:
                if status == "SUCCESS":
                    self.fault(scenario, f"{check['id']} succeeds: it can be tested")
                continue
            self.counts[status] += 1
            if status != "SUCCESS" and not (status == "SKIPPED" and scenario in SKIPPED_KNOWN):
                self.fault(scenario, f"{status} {check['id']} ({check['name']}): "
                                     f"{check.get('errorMessage') or check['description']}")

    def row(self):
        return (f"{self.server:<12} {self.revision}  {self.scenarios:>9}"
                + "".join(f"{self.counts[status]:>9}" for status in COUNTED))

    def totals(self):
        return {"server": self.server, "revision": self.revision, "scenarios": self.scenarios,
                **{status.lower(): self.counts[status] for status in COUNTED}}


def suite_home():
    return pathlib.Path(os.environ["TODO_CONFORMANCE"])


def suite_package():
    return suite_home() / "node_modules/@modelcontextprotocol/conformance"


def has_scenario(revision, scenario):
    """The suite's own list for the revision names it, scored or not."""
    listed = (suite_package() / f"requirements/{revision}.yaml").read_text("utf-8")
    return re.search(rf"^\s*- (scenario: )?{re.escape(scenario)}$", listed, re.MULTILINE)


def suite(*arguments):
    """Runs the suite's server leg; (what it printed, {scenario: its checks})."""
    package = suite_package()
    program = json.loads((package / "package.json").read_text("utf-8"))["bin"]["conformance"]
    with tempfile.TemporaryDirectory(prefix="todo-conformance-") as out:
        done = subprocess.run([str(suite_home() / "node"), str(package / program), "server", "-o", out,
                               *arguments], check=False, timeout=SUITE_SECONDS, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        checks = {}
        for path in pathlib.Path(out).glob("server-*/checks.json"):
            scenario = re.fullmatch(r"server-(.*)-\d{4}-\d\d-\d\dT[\d-]+Z", path.parent.name)[1]
            checks[scenario] = json.loads(path.read_text("utf-8"))
    return done.stdout, checks


def run_whole(revision, url):
    """All scenarios of a revision."""
    run = Run("mcp-fixture", revision)
    printed, checks = suite("--url", url, "--requirements", revision)
    for scenario, found in sorted(checks.items()):
        run.add(scenario, found)
    for scenario in re.findall(r"^=== Running scenario: (.*) ===$", printed, re.MULTILINE):
        if scenario not in checks:
            run.fault(scenario, "did not run")
    if sum(run.counts.values()) < CHECKS_KNOWN[revision]:
        run.fault("suite", f"{sum(run.counts.values())} checks instead of "
                           f"{CHECKS_KNOWN[revision]}; it ended with:\n{printed[-2000:]}")
    return run


def run_some(server, revision, url, scenarios, untestable=frozenset()):
    run = Run(server, revision)
    for scenario in scenarios:
        # Forced, since the suite would skip an extension's scenarios here.
        printed, checks = suite("--url", url, "--scenario", scenario, "--spec-version", revision,
                                "--force")
        if checks.get(scenario):
            run.add(scenario, checks[scenario], untestable)
        else:
            run.fault(scenario, f"did not run:\n{printed[-2000:]}")
    return run


def url_of(server):
    return f"http://127.0.0.1:{server.port}/mcp"


def stop(server, runs):
    try:
        server.stop()
    except AssertionError as fault:
        runs[-1].fault("the end", str(fault))


def fixture_runs(scenarios):
    runs = []
    server = Server("", binary=os.environ["TODO_FIXTURE"])
    try:
        for revision in CHECKS_KNOWN:
            chosen = [s for s in scenarios if has_scenario(revision, s)]
            runs.append(run_some("mcp-fixture", revision, url_of(server), chosen) if scenarios
                        else run_whole(revision, url_of(server)))
        for scenario in scenarios:
            if not any(has_scenario(revision, scenario) for revision in CHECKS_KNOWN):
                runs[-1].fault(scenario, "the suite has no such scenario")
        stop(server, runs)
    finally:
        server.kill()
    return runs


def product_runs():
    runs = []
    postgres = Postgres(fsync=False)
    try:
        server = Server(postgres.url, binary=server_binary())
        try:
            for revision, scenarios in PRODUCT_SCENARIOS.items():
                runs.append(run_some("todo-mcp", revision, url_of(server), scenarios,
                                     PRODUCT_UNTESTABLE))
            stop(server, runs)
        finally:
            server.kill()
    finally:
        postgres.close()
    return runs


def main():
    scenarios = sys.argv[1:]
    runs = fixture_runs(scenarios)
    if not scenarios:
        runs += product_runs()
    faults = [fault for run in runs for fault in run.faults]
    for fault in faults:
        print(fault)
    print(f"{'server':<12} {'revision':<10}  scenarios"
          + "".join(f"{status.lower():>9}" for status in COUNTED))
    for run in runs:
        print(run.row())
    print(json.dumps({"runs": [run.totals() for run in runs], "faults": len(faults)}))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
