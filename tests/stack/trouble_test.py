"""The troubles of a campaign are real: what the fixture does to a link, a disk, a database and a clock is
felt by who uses it, and is gone afterwards."""

import errno
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from stack import (Clock, Disk, Link, PostgresServer, Session, SessionError,  # noqa: E402
                   free_port)
from stack.alone import alone  # noqa: E402
from todo_server import wait_for  # noqa: E402


class Echo(threading.Thread):
    """A server that sends back what comes."""

    def __init__(self):
        super().__init__(daemon=True)
        self.port = free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port))

    def run(self):
        connection = self.listener.accept()[0]
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)


class Network(unittest.TestCase):
    def setUp(self):
        echo = Echo()
        echo.start()
        self.addCleanup(echo.listener.close)
        self.link = Link(echo.port)
        self.client = socket.create_connection(("127.0.0.1", echo.port))
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client.settimeout(30)
        self.addCleanup(self.client.close)
        self.round_trip()

    def round_trip(self, data=b"x"):
        """Seconds."""
        began = time.monotonic()
        self.client.sendall(data)
        got = b""
        while len(got) < len(data):
            got += self.client.recv(65536)
        self.assertEqual(got, data)
        return time.monotonic() - began

    def test_nothing_passes_a_cut_until_it_is_mended(self):
        self.link.cut()
        self.client.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            self.round_trip()
        self.link.mend()
        self.client.settimeout(30)
        self.assertEqual(self.client.recv(1), b"x")

    def test_a_reset_breaks_the_connection(self):
        self.link.refuse()
        with self.assertRaises(ConnectionError):
            self.round_trip()
            self.round_trip()
        self.link.mend()

    def test_a_delay_holds_each_way(self):
        self.link.disturb(delay_s=0.1)
        self.assertGreaterEqual(self.round_trip(), 0.2)
        self.link.mend()

    def test_bytes_come_whole_though_packets_are_lost_and_overtake(self):
        self.link.disturb(jitter_s=0.02, loss=0.2, chance=random.Random(1))
        for _ in range(20):
            self.round_trip(os.urandom(20_000))
        wire = self.link.wire
        self.assertGreater(wire.lost, 0)
        self.assertGreater(wire.overtaken, 0)
        self.link.mend()
        self.assertLess(min(self.round_trip() for _ in range(10)), 0.1)


class Rest(unittest.TestCase):
    def test_a_full_disk_takes_no_byte_until_it_is_freed(self):
        disk = Disk(8)
        self.addCleanup(disk.close)
        path = os.path.join(disk.folder, "file")
        disk.fill()
        wait_for(lambda: not disk.free_bytes(), 10, "a full disk")
        with open(path, "wb", buffering=0) as f, self.assertRaises(OSError) as caught:
            f.write(b"x")
        self.assertEqual(caught.exception.errno, errno.ENOSPC)
        disk.free()
        with open(path, "wb", buffering=0) as f:
            f.write(b"x" * 65536)

    def test_sessions_hold_locks_and_take_the_last_connection(self):
        with PostgresServer(settings=["max_connections=5", "superuser_reserved_connections=0"],
                            tcp=True) as postgres:
            postgres.query("create table t ()")
            holder, waiter = Session(postgres), Session(postgres)
            holder.run("begin")
            holder.run("lock table t")
            with self.assertRaises(SessionError) as caught:
                waiter.run("set lock_timeout = 1; select * from t")
            self.assertIn("lock timeout", str(caught.exception))
            holder.close()
            waiter.run("set lock_timeout = 0; select * from t")
            taken = [waiter]
            with self.assertRaises(SessionError) as caught:
                for _ in range(5):
                    taken.append(Session(postgres))
            self.assertIn("too many clients", str(caught.exception))
            for session in taken:
                session.close()

    def test_a_clock_jumps_and_the_monotonic_one_does_not(self):
        with tempfile.TemporaryDirectory() as folder:
            clock = Clock(os.path.join(folder, "clock"))
            clock.set(3600)
            times = subprocess.run(
                [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"],
                env={**os.environ, **clock.env}, stdout=subprocess.PIPE, text=True,
                check=True).stdout.split()
        self.assertAlmostEqual(float(times[0]) - time.time(), 3600, delta=30)
        self.assertAlmostEqual(float(times[1]) - time.monotonic(), 0, delta=30)


if __name__ == "__main__":
    alone(mounts=True)
    unittest.main(verbosity=2)
