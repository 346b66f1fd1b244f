"""An application that a sidecar delivers to: it subscribes, answers as it is told and keeps what came."""

import contextlib
import http.server
import json
import threading
import time

from .process import free_port


class Delivery:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body, self.at = path, headers, body, time.time()

    def json(self):
        return json.loads(self.body)


class App:
    """`topics`: topic → route, or a whole entry of /dapr/subscribe as a dict. `answer(delivery)` may
    return (status, JSON value); without it all is taken. `deliveries` in the order of arrival."""

    def __init__(self, topics=None, pubsub="pubsub-kafka", answer=None, port=None):
        self.port = port or free_port()
        self.subscriptions = [
            {"pubsubname": pubsub, "topic": topic, **(route if isinstance(route, dict)
                                                      else {"route": route})}
            for topic, route in (topics or {}).items()]
        self.answer = answer or (lambda delivery: (200, {"status": "SUCCESS"}))
        self.deliveries = []
        self.server = None

    def start(self):
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_):
                pass

            def reply(self, status, value):
                body = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                with contextlib.suppress(ConnectionError):  # who asked was killed
                    self.end_headers()
                    self.wfile.write(body)

            def do_GET(self):
                is_known = self.path == "/dapr/subscribe"
                self.reply(200 if is_known or self.path == "/healthz" else 404,
                           app.subscriptions if is_known else {})

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                delivery = Delivery(self.path, dict(self.headers), body)
                status, value = app.answer(delivery)
                app.deliveries.append(delivery)
                self.reply(status, value)

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True

        self.server = Listener(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def at(self, path):
        return [d for d in list(self.deliveries) if d.path == path]

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def __enter__(self):
        return self if self.server else self.start()

    def __exit__(self, *_):
        self.stop()
