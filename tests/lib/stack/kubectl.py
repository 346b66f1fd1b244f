#!/usr/bin/env python3
"""kubectl as it is, but for what a kubelet has to answer: `exec` and `logs` of a Deployment,
`port-forward` of a Pod. Ours (kubelet.Kubelet) leaves in $KUBELET_FOLDER what runs. $REAL_KUBECTL names
the real one."""

import json
import os
import re
import signal
import sys


def find(resource):
    """What kubelet.Kubelet wrote of a Pod, or of one of a Deployment's."""
    kind, _, name = resource.rpartition("/")
    pattern = re.escape(name) + ("" if kind in ("", "pod") else "-[0-9a-z]+-[0-9a-z]+")
    folder = os.environ["KUBELET_FOLDER"]
    for pod in sorted(os.listdir(folder)):
        if re.fullmatch(pattern, pod):
            with open(os.path.join(folder, pod), encoding="utf-8") as f:
                return json.load(f)
    return sys.exit(f"error: no Pod of {resource} runs")


def main():
    words = sys.argv[1:]
    verb = next((w for w in words if w in ("exec", "logs", "port-forward")), None)
    if not verb:
        os.execv(os.environ["REAL_KUBECTL"], ["kubectl", *words])
    pod = find(words[words.index(verb) + 1])
    if verb == "logs":
        with open(pod["log"], encoding="utf-8", errors="replace") as f:
            sys.stdout.write(f.read())
    elif verb == "port-forward":
        port = words[-1].rpartition(":")[2]
        print(f"Forwarding from 127.0.0.1:{pod['forwards'][port]} -> {port}", flush=True)
        signal.pause()
    else:
        program, *rest = words[words.index("--") + 1:]
        program = os.path.basename(program)
        os.execve(os.path.join(pod["bin"], program, program), [program, *rest],
                  {**os.environ, **pod["env"]})


if __name__ == "__main__":
    main()
