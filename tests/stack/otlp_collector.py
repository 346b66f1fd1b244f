"""otlp_collector.py PORT FOLDER: takes traces by OTLP over HTTP in JSON and keeps each request as a
line of traces.jsonl. Protobuf is refused with 415."""

import gzip
import http.server
import json
import os
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    path_of_file = None
    lock = threading.Lock()

    def log_message(self, *_):
        pass

    def reply(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/v1/traces":
            return self.reply(404, {"message": "only /v1/traces is here"})
        if self.headers.get_content_type() != "application/json":
            return self.reply(415, {"message": "application/json is what this collector reads"})
        try:
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            request = json.loads(body)
            for resource in request["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    assert all(len(span["traceId"]) == 32 and len(span["spanId"]) == 16
                               for span in scope["spans"])
        except (ValueError, KeyError, TypeError, AssertionError, OSError) as error:
            return self.reply(400, {"message": repr(error)})
        with self.lock, open(self.path_of_file, "a", encoding="utf-8") as f:
            f.write(json.dumps(request) + "\n")
        return self.reply(200, {"partialSuccess": {}})


if __name__ == "__main__":
    Handler.path_of_file = os.path.join(sys.argv[2], "traces.jsonl")
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
