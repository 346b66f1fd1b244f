"""A Redis of our own."""

import os
import subprocess

from .process import Process, program


class Redis(Process):
    """Each write is in the append-only file before it is answered, but never waits for the disk: so
    kill -9 loses nothing that was acknowledged, since the page cache outlives it, though a power cut
    would. (Redis' default, a sync each second, puts writes off while it syncs, and so may lose some.)
    """

    name = "redis"
    port_names = ("redis",)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
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
                "--appendonly", "yes", "--appendfsync", "no"]

    def is_ready(self):
        return self.cli("ping", check=False).strip() == "PONG"

    def cli(self, *words, check=True):
        return subprocess.run([program("redis-cli", "redis-tools"), "-p", str(self.port), *words],
                              check=check, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True).stdout
