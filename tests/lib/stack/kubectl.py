#!/usr/bin/env python3
"""kubectl as it is, but for `exec` and `logs` of a Deployment: they are a kubelet's, and ours
(kubelet.Kubelet) leaves in $KUBELET_FOLDER what runs. KUBECTL names the real one."""

import json
import os
import re
import sys


def main():
    words = sys.argv[1:]
    verb = next((w for w in words if w in ("exec", "logs")), None)
    if not verb:
        os.execv(os.environ["KUBECTL"], ["kubectl", *words])
    deployment = next(w for w in words if w.startswith("deploy/")).partition("/")[2]
    folder = os.environ["KUBELET_FOLDER"]
    pods = [p for p in sorted(os.listdir(folder))
            if re.fullmatch(re.escape(deployment) + "-[0-9a-z]+-[0-9a-z]+", p)]
    if not pods:
        sys.exit(f"error: no Pod of {deployment} runs")
    with open(os.path.join(folder, pods[0]), encoding="utf-8") as f:
        pod = json.load(f)
    if verb == "logs":
        with open(pod["log"], encoding="utf-8", errors="replace") as f:
            sys.stdout.write(f.read())
        return
    program, *rest = words[words.index("--") + 1:]
    os.execve(os.path.join(pod["bin"], program, program), [program, *rest],
              {**os.environ, **pod["env"]})


if __name__ == "__main__":
    main()
