"""An authorization server on loopback, as far as a resource server meets one: its metadata, its key
set, and whatever tokens a test wants, good or bad. Signatures are made here, not by a JWT library:
those refuse to make most of the bad ones."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import threading
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def encode(data):
    """base64url without padding, of bytes, text or what JSON can say."""
    if not isinstance(data, (bytes, str)):
        data = json.dumps(data, separators=(",", ":"))
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value, size=None):
    return encode(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def sign(alg, key, data):
    if alg == "RS256":
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if alg == "RS512":
        return key.sign(data, padding.PKCS1v15(), hashes.SHA512())
    if alg == "PS256":
        return key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    if alg == "ES256":
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")
    if alg == "ES256-DER":
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
    if alg == "EdDSA":
        return key.sign(data)
    assert alg == "HS256"
    return hmac.new(key, data, hashlib.sha256).digest()


def public_jwk(key, **more):
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        jwk = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    elif isinstance(public, ec.EllipticCurvePublicKey):
        numbers = public.public_numbers()
        jwk = {"kty": "EC", "crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}
    else:
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode(public.public_bytes_raw())}
    return {**jwk, **more}


class Issuer:
    """`published` is what the key set has: entries of `jwks`. While `is_down` each request is
    answered with 503."""

    def __init__(self, port=0):
        self.keys = {"rsa": rsa.generate_private_key(65537, 2048),
                     "ec": ec.generate_private_key(ec.SECP256R1()),
                     "new": ec.generate_private_key(ec.SECP256R1()),
                     "ed": ed25519.Ed25519PrivateKey.generate(),
                     "small": rsa.generate_private_key(65537, 1024),
                     "enc": rsa.generate_private_key(65537, 2048)}
        self.jwks = {name: public_jwk(key, kid=name) for name, key in self.keys.items()}
        self.jwks["rsa"]["use"] = "sig"
        self.jwks["enc"]["use"] = "enc"
        self.published = ["rsa", "ec", "ed", "small", "enc"]
        self.is_down = False
        self.requests = []
        self.prepare()
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.answer(self)

            do_POST = do_GET

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/realms/todo"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def prepare(self):
        """More, before it answers."""

    def document(self, path, body):
        """What a request is answered with, or None."""
        return {"/.well-known/oauth-authorization-server/realms/todo":
                {"issuer": self.url, "jwks_uri": f"{self.url}/keys"},
                "/realms/todo/keys": {"keys": [self.jwks[name] for name in self.published]}
                }.get(path)

    def answer(self, handler):
        self.requests.append(handler.path)
        size = int(handler.headers["Content-Length"] or 0)
        document = self.document(handler.path, handler.rfile.read(size).decode())
        status = 503 if self.is_down else 200 if document else 404
        body = json.dumps(document).encode()
        with contextlib.suppress(ConnectionError):
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

    def claims(self, audience, subject="alice", scope="tasks:read tasks:write", **changes):
        """Those of a good token; a change to None leaves the claim out."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": audience, "sub": subject, "scope": scope, "iat": now,
                  "exp": now + 600, **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, claims, key="rsa", alg=None, header=None, signer=None):
        """`header` and `claims` may be text, to be taken as they are; `signer` is another key."""
        alg = alg or ("ES256" if key in ("ec", "new") else "RS256")
        if header is None:
            header = {"alg": alg, "kid": key, "typ": "at+jwt"}
        text = f"{encode(header)}.{encode(claims)}"
        return f"{text}.{encode(sign(alg, signer or self.keys[key], text.encode()))}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
