"""A network of one's own."""

import fcntl
import os
import socket
import struct
import sys

_SET_FLAGS = 0x8914  # SIOCSIFFLAGS of ioctl; IFF_UP, IFF_LOOPBACK, IFF_MULTICAST
_FLAGS = 0x1 | 0x8 | 0x1000
_MARK = "TODO_ALONE"


def alone(mounts=False):
    """The test goes on in a network that has loopback only, with multicast: so sidecars find each
    other by their names, as they do on a machine, and those of no other test. With `mounts` its mounts
    are its own too."""
    if _MARK not in os.environ:
        own = [] if os.geteuid() == 0 else ["--map-current-user", "--keep-caps"]
        os.environ[_MARK] = "1"
        mount = ["--mount"] if mounts else []
        os.execvp("unshare", ["unshare", "--net", *mount, *own, sys.executable, *sys.argv])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, _SET_FLAGS, struct.pack("16sh14x", b"lo", _FLAGS))
