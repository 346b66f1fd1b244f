"""The Helm chart as its templates give it."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import part  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
CHART = os.path.join(ROOT, "k8s", "helm", "todo-app")
VALUES = ("values.yaml", "values-dev.yaml", "values-prod.yaml")
# With each of them the chart shows all that it has.
ALL_ON = ("--set", "dapr.enabled=true", "--set", "keda.enabled=true", "--set",
          "kafka.brokers=k:9092", "--set", "gateway.enabled=true", "--set",
          "gateway.parentRef.name=edge")


def helm(*words):
    return subprocess.run([part("helm"), *words], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)


def manifest(*words, chart=CHART):
    done = helm("template", "todo", chart, "--namespace", "todo-phasev", "--kube-version", "1.34.1",
                *words)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


def parse(text):
    """The documents of a YAML file. The part's interpreter reads it, so that no parser is needed here."""
    script = "import json,sys,yaml; json.dump([d for d in yaml.safe_load_all(sys.stdin) if d], sys.stdout)"
    parsed = subprocess.run([part("python"), "-c", script], check=True, input=text,
                            stdout=subprocess.PIPE, text=True)
    return json.loads(parsed.stdout)


def render(*words, chart=CHART):
    return parse(manifest(*words, chart=chart))


def of_kind(objects, kind):
    return {o["metadata"]["name"]: o for o in objects if o["kind"] == kind}


def pods_of(objects):
    """{kind/name: pod template} of whatever makes Pods."""
    return {f"{o['kind']}/{o['metadata']['name']}": o["spec"]["template"] for o in objects
            if o["kind"] in ("Deployment", "StatefulSet", "Job")}
