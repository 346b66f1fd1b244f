"""tests/lib/issuer.py as a process that gives a token to whoever asks; tests/lib/stack/issuer.py starts
it. Its keys are files of its folder, of which the last one signs and is published."""

import argparse
import glob
import json
import os
import signal
import sys
import threading
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from issuer import Issuer, public_jwk  # noqa: E402


class IssuerServer(Issuer):
    def __init__(self, arguments):
        self.arguments = arguments
        super().__init__(arguments.port)

    def prepare(self):
        names = sorted(os.path.basename(path)[:-4] for path in glob.glob(self.path("key-*")))
        self.use(names[-1] if names else self.make(1))

    def path(self, name):
        return os.path.join(self.arguments.folder, f"{name}.pem")

    def make(self, number):
        name = f"key-{number:06}"
        key = ec.generate_private_key(ec.SECP256R1())
        with open(self.path(name) + ".new", "wb") as f:
            f.write(key.private_bytes(serialization.Encoding.PEM,
                                      serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption()))
        os.rename(self.path(name) + ".new", self.path(name))
        return name

    def use(self, name):
        with open(self.path(name), "rb") as f:
            self.keys[name] = serialization.load_pem_private_key(f.read(), None)
        self.jwks[name] = public_jwk(self.keys[name], kid=name)
        self.published = [name]

    def document(self, path, body):
        if path == "/realms/todo/token":
            claims = self.claims(self.arguments.audience, json.loads(body)["subject"],
                                 iat=None, exp=int(time.time()) + self.arguments.life)
            return {"access_token": self.token(claims, self.published[0], "ES256")}
        if path == "/realms/todo/rotate":
            self.use(self.make(int(self.published[0].split("-")[1]) + 1))
            return {"rotated": True}
        return super().document(path, body)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--audience", required=True)
    parser.add_argument("--life", type=int, required=True, help="seconds, which may be below 0")
    issuer = IssuerServer(parser.parse_args())
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    issuer.close()


if __name__ == "__main__":
    main()
