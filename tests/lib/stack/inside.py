"""inside.py SPEC: the inner half of image.Container.command, in new mount and process namespaces:
makes SPEC's root the root, mounts what a program expects, and becomes the program."""

import ctypes
import json
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
DEVICES = ("null", "zero", "full", "random", "urandom")


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def mount_all(root, binds, writable):
    mount("--rbind", root, root)
    for folder in writable or ():
        mount("--bind", root + folder, root + folder)
    mount("-t", "proc", "proc", f"{root}/proc")
    for folder, mode in (("dev", "755"), ("tmp", "1777"), ("run", "755")):
        mount("-t", "tmpfs", "-o", f"mode={mode},nosuid", "tmpfs", f"{root}/{folder}")
    for device in DEVICES:
        with open(f"{root}/dev/{device}", "w", encoding="ascii"):
            pass
        mount("--bind", f"/dev/{device}", f"{root}/dev/{device}")
    for name, folder in binds.items():
        os.mkdir(f"{root}/run/{name}")
        mount("--bind", folder, f"{root}/run/{name}")
    if writable is not None:
        mount("-o", "remount,bind,ro", root)


def process_control(option, value):
    if ctypes.CDLL(None).prctl(option, value, 0, 0, 0):
        raise OSError(f"prctl {option}")


def become(root, user):
    uid, gid = (int(number) for number in user.split(":"))
    os.chroot(root)
    os.chdir("/")
    process_control(PR_SET_NO_NEW_PRIVS, 1)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    process_control(PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of user forgets it


if __name__ == "__main__":
    spec = json.loads(sys.argv[1])
    mount_all(spec["root"], spec["binds"], spec["writable"])
    become(spec["root"], spec["user"])
    os.execvpe(spec["words"][0], spec["words"], spec["env"])
