"""Makes an allocation or a call on a socket of a running program fail: tests/support/fail_nth.c."""

import errno
import mmap
import os
import struct
import tempfile

NOTHING, MEMORY, RECEIVE, SEND, ACCEPT, SOCKET = range(6)
ERRORS = {MEMORY: 0, RECEIVE: errno.ECONNRESET, SEND: errno.EPIPE, ACCEPT: errno.EMFILE,
          SOCKET: errno.EMFILE}
LAYOUT = struct.Struct("<QQQIIII")  # as struct orders
KIND_AT = 24


class FailNth:
    """`env` is what the program is started with."""

    def __init__(self):
        self.file = tempfile.NamedTemporaryFile(prefix="todo-fail-")
        self.file.truncate(LAYOUT.size)
        self.orders = mmap.mmap(self.file.fileno(), LAYOUT.size)
        self.env = {"LD_PRELOAD": os.environ["TODO_FAIL_NTH"], "FAIL_NTH": self.file.name,
                    # The library comes before the sanitizers', which are otherwise the first.
                    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:verify_asan_link_order=0"}

    def _write(self, kind, nth, one_in, seed):
        self.end()
        LAYOUT.pack_into(self.orders, 0, nth, 0, 0, NOTHING, one_in, ERRORS[kind], seed)
        struct.pack_into("<I", self.orders, KIND_AT, kind)

    def fail(self, kind, nth):
        """The `nth` call of this kind from now fails, and no other."""
        self._write(kind, nth, 0, 0)

    def fail_one_in(self, kind, count, seed):
        self._write(kind, 0, count, seed)

    @property
    def seen(self):
        """Calls of this kind since the order was given."""
        return LAYOUT.unpack_from(self.orders, 0)[1]

    @property
    def failed(self):
        """Of them, those that failed."""
        return LAYOUT.unpack_from(self.orders, 0)[2]

    def end(self):
        """How many calls failed; from now on none does."""
        struct.pack_into("<I", self.orders, KIND_AT, NOTHING)
        return self.failed

    def close(self):
        self.orders.close()
        self.file.close()
