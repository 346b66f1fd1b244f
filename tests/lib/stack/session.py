"""A session with PostgreSQL that stays open, over its unix socket: to hold locks and connections, and to
run what takes long while the test goes on."""

import contextlib
import os
import socket
import struct

_VERSION = 196608  # 3.0 of the protocol


class SessionError(Exception):
    """What PostgreSQL answered instead."""


class Session:
    def __init__(self, postgres, seconds=30):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(seconds)
        self.file = self.socket.makefile("rb")
        try:
            self.socket.connect(os.path.join(postgres.folder, f".s.PGSQL.{postgres.tcp_port}"))
            words = b"user\0postgres\0database\0postgres\0\0"
            self.socket.sendall(struct.pack("!II", 8 + len(words), _VERSION) + words)
            self.wait()
        except (OSError, SessionError):
            self.close()
            raise

    def _message(self):
        head = self.file.read(5)
        if len(head) < 5:
            raise ConnectionError("PostgreSQL has closed the session")
        kind, length = struct.unpack("!cI", head)
        return kind, self.file.read(length - 4)

    def wait(self):
        """Until it may be asked; a SessionError where it has refused."""
        error = None
        while True:
            kind, body = self._message()
            if kind == b"E":
                error = SessionError(body.replace(b"\0", b" ").decode(errors="replace"))
                if not error.args[0].startswith("SERROR"):  # it closes the session
                    raise error
            elif kind == b"Z":
                if error:
                    raise error
                return

    def begin(self, sql):
        """Without waiting for its end."""
        words = sql.encode() + b"\0"
        self.socket.sendall(struct.pack("!cI", b"Q", 4 + len(words)) + words)

    def run(self, sql):
        self.begin(sql)
        self.wait()

    def close(self):
        """What it holds is let go; what it runs ends when it next looks at its client."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.file.close()  # else the socket stays open with it
        self.socket.close()
