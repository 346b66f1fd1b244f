"""HTTP and MCP, with the standard library alone."""

import http.client
import itertools
import json
import urllib.error
import urllib.request

from .report import Failure

REVISION = "2026-07-28"


class Web:
    """What listens at `url`; `headers` go with each request. A request gives (status, value): the
    JSON of its answer, or its text where that is none."""

    def __init__(self, url, headers=None):
        self.url, self.headers = url, headers or {}

    def ask(self, method, path, value=None, headers=None, timeout=10):
        """Status 0: nobody answered; the value says why."""
        request = urllib.request.Request(
            self.url + path, method=method, data=None if value is None else json.dumps(value).encode(),
            headers={"Content-Type": "application/json", **self.headers, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, _value(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _value(error.read())
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)

    def get(self, path, **kwargs):
        return self.ask("GET", path, **kwargs)

    def want(self, method, path, value=None, **kwargs):
        """The value of an answer that is no error."""
        status, answer = self.ask(method, path, value, **kwargs)
        if not 200 <= status < 300:
            raise Failure(f"{method} {path} of {self.url}: {status or 'no answer'}: {answer}")
        return answer

    def samples(self):
        """/metrics as {'name{label="value"}': number}."""
        lines = str(self.want("GET", "/metrics")).splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in lines if line and not line.startswith("#")}


def _value(body):
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode(errors="replace")


class Tools:
    """The tools of a todo-mcp."""

    ids = itertools.count(1)

    def __init__(self, web):
        self.web = web

    def call(self, tool, **arguments):
        """The structured content of the answer."""
        body = {"jsonrpc": "2.0", "id": next(self.ids), "method": "tools/call", "params": {
            "name": tool, "arguments": arguments,
            "_meta": {"io.modelcontextprotocol/protocolVersion": REVISION,
                      "io.modelcontextprotocol/clientCapabilities": {}}}}
        answer = self.web.want("POST", "/mcp", body, headers={
            "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": REVISION,
            "Mcp-Method": "tools/call", "Mcp-Name": tool})
        result = answer.get("result", {})
        if "error" in answer or result.get("isError"):
            raise Failure(f"{tool}: {answer.get('error') or result.get('structuredContent')}")
        return result["structuredContent"]
