"""An authorization server whose tokens end soon (tests/stack/issuer_server.py)."""

import json
import urllib.request

from .dapr import http_status
from .process import STACK, Process, part

# A todo-mcp takes a token so long beyond its end, since clocks differ.
SKEW_S = 60


class IssuerServer(Process):
    """`life_s`: how long a todo-mcp takes a token. Its key stays when it is started again."""

    name = "issuer"
    port_names = ("http",)

    def __init__(self, audience, life_s=600, **kwargs):
        super().__init__(**kwargs)
        self.audience, self.life_s = audience, life_s
        self.url = f"http://127.0.0.1:{self.port}/realms/todo"

    def command(self):
        return [part("python"), f"{STACK}/issuer_server.py", "--folder", self.folder, "--port",
                str(self.port), "--audience", self.audience, "--life", str(self.life_s - SKEW_S)]

    def is_ready(self):
        return http_status(f"{self.url}/keys") == 200

    def _ask(self, path, **words):
        request = urllib.request.Request(f"{self.url}/{path}", json.dumps(words).encode())
        with urllib.request.urlopen(request, timeout=2) as answer:
            return json.load(answer)

    def token(self, subject):
        """A new one for this user; an OSError where there is none to be had."""
        return self._ask("token", subject=subject)["access_token"]

    def rotate(self):
        """Tokens are signed with a new key, and those of the old one are good no more."""
        self._ask("rotate")
