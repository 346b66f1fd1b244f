"""A subscriber that costs next to nothing."""

import re
import socket
import threading


class Sink:
    """A subscriber of the direct transport that answers at once: raw sockets, since http.server
    would be what is measured."""

    ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}/events"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        data = b""
        while True:
            more = connection.recv(65536)
            if not more:
                return
            data += more
            while (end := data.find(b"\r\n\r\n")) >= 0:
                length = int(re.search(rb"(?i)content-length: (\d+)", data[:end]).group(1))
                if len(data) < end + 4 + length:
                    break
                data = data[end + 4 + length:]
                connection.sendall(self.ANSWER)

    def close(self):
        self.socket.close()
