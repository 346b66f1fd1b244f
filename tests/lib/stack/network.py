"""What goes wrong between two parts of the stack, on real packets: those of a link are dropped, refused,
lost, held or overtaken. For a process in a network of its own (alone.py): the rules are iptables', and
what is held waits in a queue of the kernel (NFQUEUE) that a thread here serves; netem, which would do
the same, is not in every kernel."""

import heapq
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time

from .process import program

_MARKS = iter(range(1, 1 << 16))

# linux/netlink.h, linux/netfilter/nfnetlink_queue.h
_NETFILTER, _REQUEST, _QUEUE = 12, 1, 3 << 8
_PACKET, _VERDICT, _CONFIG = _QUEUE, _QUEUE | 1, _QUEUE | 2
_CFG_COMMAND, _CFG_PARAMETERS, _CFG_LENGTH = 1, 2, 3
_BIND, _COPY_META = 1, 1
_PACKET_HEADER, _VERDICT_HEADER = 1, 2
_DROP, _ACCEPT = 0, 1
_WAITING_MAX = 65536  # packets


def _attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


class _Wire(threading.Thread):
    """A queue of packets: each is lost by chance, or goes on after `delay_s` and a random part of
    `jitter_s`, whatever came before it."""

    def __init__(self, number, delay_s, jitter_s, loss, chance):
        super().__init__(daemon=True)
        self.number, self.delay_s, self.jitter_s = number, delay_s, jitter_s
        self.loss, self.chance = loss, chance
        self.waiting, self.ended = [], threading.Event()
        self.lost = self.overtaken = 0  # packets
        self.last = -1
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind((0, 0))
        self._send(_CONFIG, _attribute(_CFG_COMMAND, struct.pack("!BxH", _BIND, 0)))
        self._send(_CONFIG, _attribute(_CFG_PARAMETERS, struct.pack("!IB", 0, _COPY_META)))
        self._send(_CONFIG, _attribute(_CFG_LENGTH, struct.pack("!I", _WAITING_MAX)))

    def _send(self, kind, attributes):
        body = struct.pack("!BBH", socket.AF_UNSPEC, 0, self.number) + attributes
        self.socket.send(struct.pack("=IHHII", 16 + len(body), kind, _REQUEST, 0, 0) + body)

    def _judge(self, packet_id, verdict):
        self._send(_VERDICT, _attribute(_VERDICT_HEADER, struct.pack("!II", verdict, packet_id)))

    def _take(self, message):
        """The packets that one read brought."""
        at = 0
        while at + 16 <= len(message):
            length, kind = struct.unpack_from("=IH", message, at)
            if kind == _PACKET:
                self._delay(self._packet_id(message[at + 20:at + length]))
            at += max(16, length + -length % 4)

    @staticmethod
    def _packet_id(attributes):
        at = 0
        while True:
            length, kind = struct.unpack_from("=HH", attributes, at)
            if kind == _PACKET_HEADER:
                return struct.unpack_from("!I", attributes, at + 4)[0]
            at += length + -length % 4

    def _delay(self, packet_id):
        if self.chance.random() < self.loss:
            self.lost += 1
            return self._judge(packet_id, _DROP)
        due = time.monotonic() + self.delay_s + self.chance.uniform(0, self.jitter_s)
        return heapq.heappush(self.waiting, (due, packet_id))

    def run(self):
        poll = select.poll()  # select() takes no descriptor above 1,023
        poll.register(self.socket, select.POLLIN)
        while not self.ended.is_set():
            wait_s = min(0.1, self.waiting[0][0] - time.monotonic()) if self.waiting else 0.1
            if wait_s > 0 and poll.poll(wait_s * 1000):
                self._take(self.socket.recv(65536))
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                self._pass(heapq.heappop(self.waiting)[1])

    def _pass(self, packet_id):
        self.overtaken += packet_id < self.last
        self.last = max(self.last, packet_id)
        self._judge(packet_id, _ACCEPT)

    def stop(self):
        """What waits is dropped with the queue; TCP sends it again."""
        self.ended.set()
        self.join()
        self.socket.close()


class Link:
    """The TCP connections to `port`, those of `client` (a Process) alone where it has a group of its
    own (Process.set_group), else everybody's. One trouble at a time."""

    def __init__(self, port, client=None):
        self.mark = next(_MARKS)
        owner = []
        if client and client.group:
            owner = ["-m", "owner", "--gid-owner", str(client.group)]
        self.rules = [("mangle", ["OUTPUT", "-p", "tcp", "--dport", str(port), *owner, "-j",
                                  "CONNMARK", "--set-mark", str(self.mark)])]
        self.wire = None

    def _iptables(self, action, rules):
        for table, words in rules:
            subprocess.run([program("iptables", "iptables"), "-w", "-t", table, action, *words],
                           check=True)

    def _begin(self, *target, match=()):
        """Both ways: a connection keeps the mark that its client's packets gave it."""
        self.rules.append(("filter", ["INPUT", "-p", "tcp", *match, "-m", "connmark", "--mark",
                                      str(self.mark), "-j", *target]))
        self._iptables("-A", self.rules)

    def cut(self):
        """Nothing comes through, and nobody is told."""
        self._begin("DROP")

    def refuse(self):
        """Each packet is answered with a reset, so that connections break. The reset has to pass."""
        self._begin("REJECT", "--reject-with", "tcp-reset",
                    match=("!", "--tcp-flags", "RST", "RST"))

    def disturb(self, delay_s=0.0, jitter_s=0.0, loss=0.0, chance=random):
        """`jitter_s` lets packets overtake each other; `loss` is a share."""
        self.wire = _Wire(self.mark, delay_s, jitter_s, loss, chance)
        self.wire.start()
        self._begin("NFQUEUE", "--queue-num", str(self.mark))

    def mend(self):
        self._iptables("-D", self.rules)
        self.rules = self.rules[:1]
        if self.wire:
            self.wire.stop()
            self.wire = None


def has_groups():
    """Whether a process may be given a group of its own here."""
    return os.geteuid() == 0
