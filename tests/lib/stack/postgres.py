"""A PostgreSQL as a part of the stack: as todo_server.Postgres, but one that may outlive us."""

import contextlib
import hashlib
import os
import pwd
import shutil
import signal
import subprocess

from todo_server import Postgres, postgres_bindir

from .process import Process, free_port, reload_of


class PostgresServer(Process):
    """Reached by a unix socket in its folder, with `tcp` also by a port of its own. It refuses to run
    as root, so for root it is user postgres who runs it and owns the folder. `tls`: its
    tls.Authority and the Certificate that it offers by TCP; `tcp_url` asks for it and verifies it."""

    name = "postgres"

    def __init__(self, settings=(), tcp=False, tls=None, **kwargs):
        super().__init__(**kwargs)
        self.bindir, self.settings = postgres_bindir(), list(settings)
        self.tcp_port = free_port() if tcp else 5432
        self.tcp_url = f"postgresql://postgres@127.0.0.1:{self.tcp_port}/postgres"
        if tcp:
            self.settings += ["listen_addresses=127.0.0.1", f"port={self.tcp_port}"]
        self.data = os.path.join(self.folder, "data")
        self.url = (f"postgresql:///postgres?host={self.folder}&port={self.tcp_port}"
                    "&user=postgres")
        self.as_postgres = []
        if os.geteuid() == 0:
            self._own(self.folder)
            self.as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            if not self.detached:  # the change of user undoes the wish that came before it
                self.as_postgres += ["--pdeathsig=KILL"]

        if tls:
            authority, certificate = tls
            self.tcp_url += f"?sslmode=verify-full&sslrootcert={authority.certificate}"
            self.pair = [os.path.join(self.folder, name) for name in ("server.crt", "server.key")]
            self.settings += ["ssl=on", *(f"ssl_{kind}_file={path}" for kind, path in
                                          zip(("cert", "key"), self.pair))]
            self._put(certificate)

    @staticmethod
    def _own(path):
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(path, user.pw_uid, user.pw_gid)

    def _put(self, certificate):
        for source, path in zip((certificate.certificate, certificate.key), self.pair):
            shutil.copy(source, path + ".new")
            os.chmod(path + ".new", 0o600)
            self._own(path + ".new")
            os.rename(path + ".new", path)

    def offer(self, certificate):
        """To those who connect from now on."""
        self._put(certificate)
        reload_of(self, "received SIGHUP")

    def command(self):
        if not os.path.exists(os.path.join(self.data, "PG_VERSION")):
            subprocess.run([*self.as_postgres, f"{self.bindir}/initdb", "-D", self.data, "-U",
                            "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"],
                           check=True, cwd="/", stdout=subprocess.DEVNULL)
        return [*self.as_postgres, f"{self.bindir}/postgres", "-D", self.data,
                "-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}",
                "-c", "max_connections=200",
                *(word for s in self.settings for word in ("-c", s))]

    def is_ready(self):
        return subprocess.run([f"{self.bindir}/pg_isready", "-q", "-h", self.folder, "-p",
                               str(self.tcp_port), "-U", "postgres"],
                              check=False).returncode == 0

    def stop(self, seconds=60):
        """A fast shutdown: clients are cut off, nothing is lost."""
        with contextlib.suppress(subprocess.TimeoutExpired, TimeoutError):
            self._end(signal.SIGINT, seconds)
        self.kill()

    def _signal_children(self, number):
        """They are in sessions of their own, so that the group's signal misses them."""
        children = subprocess.run(["pgrep", "-P", str(self.pid)], stdout=subprocess.PIPE,
                                  text=True, check=False).stdout.split()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), number)

    def pause(self):
        super().pause()  # so that it forks no more
        self._signal_children(signal.SIGSTOP)

    def resume(self):
        self._signal_children(signal.SIGCONT)
        super().resume()

    def kill(self):
        if not self.is_running():
            return
        super().pause()
        self._signal_children(signal.SIGKILL)
        super().kill()

    query, value = Postgres.query, Postgres.value


def private_folder(folder):
    """Where PostgreSQL may have its folder instead of `folder`: root's own is closed to it."""
    if os.geteuid() != 0:
        return folder
    elsewhere = "/var/tmp/todo-app-stack"
    os.makedirs(elsewhere, mode=0o755, exist_ok=True)
    if os.stat(elsewhere).st_uid != 0:
        raise SystemExit(f"{elsewhere} belongs to another user; remove it")
    return os.path.join(elsewhere, hashlib.sha256(folder.encode()).hexdigest()[:16])
