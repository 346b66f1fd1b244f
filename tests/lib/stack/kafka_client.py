"""The three requests of Kafka's protocol that the stack itself needs; section numbers as in "Kafka
protocol guide". Tests that produce or consume use kafka_python() instead."""

import contextlib
import os
import socket
import struct
import sys

from .process import part

METADATA, FIND_COORDINATOR, CREATE_TOPICS = (3, 1), (10, 1), (19, 2)
TOPIC_ALREADY_EXISTS = 36


class _Answer:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return values[0] if len(values) == 1 else values

    def text(self):
        size = self.take("h")
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def array(self, item):
        return [item() for _ in range(self.take("i"))]


def _text(value):
    return struct.pack(">h", len(value)) + value.encode()


def _receive(s, size):
    data = b""
    while len(data) < size:
        chunk = s.recv(size - len(data))
        if not chunk:
            raise ConnectionError("Kafka closed the connection")
        data += chunk
    return data


def _ask(port, request, body):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        message = struct.pack(">hhi", *request, 1) + _text("todo-stack") + body
        s.sendall(struct.pack(">i", len(message)) + message)
        answer = _Answer(_receive(s, struct.unpack(">i", _receive(s, 4))[0]))
    answer.take("i")
    return answer


def metadata(port):
    """Topic: leaders of its partitions (-1: none)."""
    answer = _ask(port, METADATA, struct.pack(">i", -1))
    answer.array(lambda: (answer.take("i"), answer.text(), answer.take("i"), answer.text()))
    answer.take("i")

    def partition():
        _, _, leader = answer.take("hii")
        for _ in range(2):
            answer.array(lambda: answer.take("i"))
        return leader

    def topic():
        answer.take("h")
        name = answer.text()
        answer.take("?")
        return name, answer.array(partition)

    return dict(answer.array(topic))


def is_serving(port):
    """It answers, and each partition that it knows has its leader."""
    with contextlib.suppress(OSError):
        topics = metadata(port)
        return all(leader >= 0 for leaders in topics.values() for leader in leaders)
    return False


def create_topic(port, name, partitions, retention_days=None):
    settings = b""
    if retention_days:
        settings = _text("retention.ms") + _text(str(retention_days * 86_400_000))
    answer = _ask(port, CREATE_TOPICS, struct.pack(">i", 1) + _text(name) +
                  struct.pack(">ihii", partitions, 1, 0, 1 if settings else 0) + settings +
                  struct.pack(">i?", 10_000, False))
    answer.take("ii")
    answer.text()
    code = answer.take("h")
    if code not in (0, TOPIC_ALREADY_EXISTS):
        raise RuntimeError(f"the topic {name} could not be made: error {code}, {answer.text()}")


def find_coordinator(port, group):
    """Kafka makes the topic of the groups' offsets at the first such question. 0 when it is there."""
    answer = _ask(port, FIND_COORDINATOR, _text(group) + b"\0")
    answer.take("i")
    return answer.take("h")


def kafka_python():
    """The package kafka, as pinned for the stack."""
    library = os.path.join(os.path.dirname(os.path.dirname(part("python"))), "lib")
    sys.path.insert(1, os.path.join(library, os.listdir(library)[0], "site-packages"))
    import kafka
    return kafka
