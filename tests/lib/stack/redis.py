"""A Redis of our own."""

import os
import subprocess

from .process import Process, program


class Redis(Process):
    """`fsync`: each write is on the disk before it is answered, so that kill -9 loses nothing that
    was acknowledged. (The page cache outlives kill -9, so tests need no more than the default,
    which writes the append-only file at once and syncs it each second.)"""

    name = "redis"
    port_names = ("redis",)

    def __init__(self, fsync=False, **kwargs):
        super().__init__(**kwargs)
        self.fsync = fsync
        self.address = f"127.0.0.1:{self.port}"

    def server(self):
        """Debian's redis-tools has the server too, under the name of a tool that is the same program;
        so the package redis-server, which would start one as a service, is not needed."""
        path = os.path.join(self.folder, "redis-server")
        if not os.path.lexists(path):
            os.symlink(program("redis-check-rdb", "redis-tools"), path)
        return path

    def command(self):
        return [self.server(), "--port", str(self.port),
                "--bind", "127.0.0.1", "--dir", self.folder, "--daemonize", "no", "--save", "",
                "--appendonly", "yes", "--appendfsync", "always" if self.fsync else "everysec"]

    def is_ready(self):
        return self.cli("ping", check=False).strip() == "PONG"

    def cli(self, *words, check=True):
        return subprocess.run([program("redis-cli", "redis-tools"), "-p", str(self.port), *words],
                              check=check, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True).stdout
