"""What a Kubernetes Service is to its pods: one address before several replicas. Each connection
goes to the next replica that takes it, and ends when either side does."""

import contextlib
import itertools
import socket
import socketserver
import threading

from .process import free_port


def pump(source, target):
    """Bytes from one to the other until either ends; then both end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for s in (source, target):
        with contextlib.suppress(OSError):
            s.shutdown(socket.SHUT_RDWR)


class Balancer:
    def __init__(self, ports):
        self.port = free_port()
        balancer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                replica = balancer.connect()
                if replica is None:
                    return
                with replica:
                    back = threading.Thread(target=pump, args=(replica, self.request), daemon=True)
                    back.start()
                    pump(self.request, replica)
                    back.join()

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        self.ports, self.turns = list(ports), itertools.count()
        self.server = Listener(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def connect(self):
        """None where no replica is there."""
        first = next(self.turns)
        for n in range(len(self.ports)):
            with contextlib.suppress(OSError):
                port = self.ports[(first + n) % len(self.ports)]
                connection = socket.create_connection(("127.0.0.1", port), timeout=5)
                connection.settimeout(None)
                return connection
        return None

    def close(self):
        self.server.shutdown()
        self.server.server_close()
