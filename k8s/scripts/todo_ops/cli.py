"""The options that all scripts have, and what becomes of a script that fails."""

import argparse
import os
import sys

from .report import Failure, Report

EXIT_CODES = """exit code: 0 all holds; 1 something does not, and its name is printed; 2 the question could not be
asked (wrong options, no cluster, no stack)"""


def parser(script, about):
    """`about`: the text of --help, its first line the summary."""
    made = argparse.ArgumentParser(prog=script, description=about.strip(), epilog=EXIT_CODES,
                                   formatter_class=argparse.RawDescriptionHelpFormatter)
    where = made.add_argument_group("where")
    where.add_argument("--local", action="store_true",
                       help="the stack on this machine (./todo stack) in place of a cluster")
    where.add_argument("--namespace", default="todo-phasev", help="default: %(default)s")
    where.add_argument("--release", default="todo",
                       help="the Helm release of the chart todo-app; default: %(default)s")
    where.add_argument("--dapr-namespace", default="dapr-system",
                       help="of Dapr's control plane; default: %(default)s")
    where.add_argument("--context", help="kubectl's context; default: the current one")
    made.add_argument("--json", action="store_true",
                      help="print one JSON object: ok, failed, and each check with its time")
    return made


def open_site(arguments):
    if arguments.local:
        from .local import Local
        return Local()
    from .cluster import Cluster
    return Cluster(arguments)


def run(script, arguments, steps, is_there=True):
    """`steps(site, report)`; the exit code. Not `is_there`: for a script that makes the site."""
    report = Report(script, "local" if arguments.local else "cluster", arguments.json)
    try:
        with open_site(arguments) as site:
            if is_there:
                site.need()
            steps(site, report)
    except Failure as failure:
        if not report.entries or report.is_ok:  # it came before or between the steps
            print(f"{os.path.basename(script)}: {failure}", file=sys.stderr)
            if failure.mend:
                print(f"what to do: {failure.mend}", file=sys.stderr)
            return 2
    return report.finish()
