"""Tokens that must be refused: (what is wrong, the token, the reason that the server gives)."""

import json
import time

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from issuer import encode, public_jwk

RS256 = {"alg": "RS256", "kid": "rsa"}


def texts(good):
    """No JWT by its looks."""
    header, payload, signature = good.split(".")
    return [
        ("longer than 8 KiB", "a" * 8193, "too_long"),
        ("one part", "abcdef", "malformed"),
        ("two parts", f"{header}.{payload}", "malformed"),
        ("four parts", f"{good}.{signature}", "malformed"),
        ("a dot at the end", f"{good}.", "malformed"),
        ("a dot at the start", f".{good}", "malformed"),
        ("five parts", "a.b.c.d.e", "encrypted"),
        ("header with a strange character", f"{header[:-1]}!.{payload}.{signature}",
         "header_encoding"),
        ("header with padding", f"{header}==.{payload}.{signature}", "header_encoding"),
        ("header in the other alphabet", f"+/{header[2:]}.{payload}.{signature}",
         "header_encoding"),
        ("header that is not canonical", f"e31.{payload}.{signature}", "header_encoding"),
        ("empty header", f".{payload}.{signature}", "header_json"),
        ("payload with a strange character", f"{header}.{payload[:-1]}~.{signature}",
         "payload_encoding"),
        ("empty payload", f"{header}..{signature}", "payload_json"),
        ("signature with padding", f"{header}.{payload}.{signature}==", "signature_encoding"),
        ("no signature", f"{header}.{payload}.", "signature_missing"),
        ("half a signature", f"{header}.{payload}.{signature[:100]}", "signature_wrong"),
    ]


def headers(issuer, claims):
    def signed(header):
        return issuer.token(claims, header=header)
    return [
        ("header that is no JSON", signed("not json"), "header_json"),
        ("header that is a list", signed('["RS256"]'), "header_json"),
        ("two algorithms", signed('{"alg":"none","alg":"RS256","kid":"rsa"}'), "header_json"),
        ("NUL in the key id", signed('{"alg":"RS256","kid":"rsa\\u0000x"}'), "header_json"),
        ("another kind of JWT", signed({**RS256, "typ": "dpop+jwt"}), "type"),
        ("a logout token", signed({**RS256, "typ": "logout+jwt"}), "type"),
        ("a type that is no text", signed({**RS256, "typ": 1}), "type"),
        ("a critical extension", signed({**RS256, "crit": ["x"], "x": 1}), "critical"),
        ("an empty list of extensions", signed({**RS256, "crit": []}), "critical"),
        ("an unencoded payload", signed({**RS256, "b64": False, "crit": ["b64"]}), "unencoded"),
        ("an encrypted one's header", signed({**RS256, "enc": "A128GCM"}), "encrypted"),
        ("no algorithm", signed({"kid": "rsa"}), "alg_missing"),
        ("an algorithm that is no text", signed({**RS256, "alg": ["RS256"]}), "alg_missing"),
        ("algorithm none in disguise", signed({**RS256, "alg": "nOnE"}), "alg_none"),
        ("HS512", signed({**RS256, "alg": "HS512"}), "alg_symmetric"),
        ("RS512", issuer.token(claims, alg="RS512"), "alg_unsupported"),
        ("ES384", signed({**RS256, "alg": "ES384"}), "alg_unsupported"),
        ("rs256", signed({**RS256, "alg": "rs256"}), "alg_unsupported"),
        ("an empty key id", signed({**RS256, "kid": ""}), "kid_invalid"),
        ("a key id that is a list", signed({**RS256, "kid": ["rsa"]}), "kid_invalid"),
        ("a long key id", signed({**RS256, "kid": "k" * 257}), "kid_invalid"),
        ("a key id that nobody has", signed({**RS256, "kid": "../../etc/passwd"}), "key_unknown"),
    ]


def forgeries(issuer, claims):
    good = issuer.token(claims)
    header, payload, signature = good.split(".")
    thief = rsa.generate_private_key(65537, 2048)
    ec_thief = ec.generate_private_key(ec.SECP256R1())
    pem = issuer.keys["rsa"].public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    es256 = issuer.token(claims, "ec")
    es_text = es256.rsplit(".", 1)[0]
    return [
        ("algorithm none", f"{encode({'alg': 'none', 'kid': 'rsa'})}.{payload}.", "alg_none"),
        ("the public key as an HMAC secret",
         issuer.token(claims, alg="HS256", signer=pem), "alg_symmetric"),
        ("the same under the name of RS256",
         issuer.token(claims, alg="HS256", signer=pem, header=RS256), "signature_wrong"),
        ("EdDSA", issuer.token(claims, "ed", "EdDSA"), "alg_eddsa"),
        ("RS256 with an EC key's id", issuer.token(claims, header={**RS256, "kid": "ec"}),
         "key_mismatch"),
        ("ES256 with an RSA key's id",
         issuer.token(claims, "ec", header={"alg": "ES256", "kid": "rsa"}), "key_mismatch"),
        ("another's key", issuer.token(claims, signer=thief), "signature_wrong"),
        ("another's key that comes along",
         issuer.token(claims, signer=thief, header={**RS256, "jwk": public_jwk(thief)}),
         "signature_wrong"),
        ("another's key set by address",
         issuer.token(claims, signer=thief,
                      header={**RS256, "jku": f"{issuer.url}/evil", "kid": "evil"}),
         "key_unknown"),
        ("another's EC key", issuer.token(claims, "ec", signer=ec_thief), "signature_wrong"),
        ("a key that is for encryption", issuer.token(claims, "enc"), "key_unknown"),
        ("an RSA key of 1024 bits", issuer.token(claims, "small"), "key_unknown"),
        ("PS256 under the name of RS256", issuer.token(claims, alg="PS256", header=RS256),
         "signature_wrong"),
        ("another payload",
         f"{header}.{encode({**claims, 'sub': 'mallory'})}.{signature}", "signature_wrong"),
        ("another header", f"{encode({**RS256, 'typ': 'JWT'})}.{payload}.{signature}",
         "signature_wrong"),
        ("an ES256 signature of zeros", f"{es_text}.{encode(bytes(64))}", "signature_wrong"),
        ("an ES256 signature in DER", issuer.token(claims, "ec", "ES256-DER",
                                                   header={"alg": "ES256", "kid": "ec"}),
         "signature_wrong"),
    ]


def claims_that_do_not_hold(issuer, audience):
    def signed(text=None, **changes):
        return issuer.token(text or issuer.claims(audience, **changes))
    good = json.dumps(issuer.claims(audience))
    now = int(time.time())
    return [
        ("payload that is no JSON", signed("not json"), "payload_json"),
        ("payload that is a list", signed("[1]"), "payload_json"),
        ("two subjects", signed(good.replace("{", '{"sub":"mallory",', 1)), "payload_json"),
        ("no issuer", signed(iss=None), "issuer_missing"),
        ("another issuer", signed(iss="https://evil.example"), "issuer_wrong"),
        ("almost the issuer", signed(iss=f"{issuer.url}/"), "issuer_wrong"),
        ("an issuer that is a list", signed(iss=[issuer.url]), "issuer_wrong"),
        ("no audience", signed(aud=None), "audience_missing"),
        ("another audience", signed(aud="https://other.example/mcp"), "audience_wrong"),
        ("almost the audience", signed(aud=f"{audience}/"), "audience_wrong"),
        ("an empty list of audiences", signed(aud=[]), "audience_wrong"),
        ("an audience that is an object", signed(aud={audience: 1}), "audience_invalid"),
        ("an audience that is a number in a list", signed(aud=[audience, 1]), "audience_invalid"),
        ("no expiry", signed(exp=None), "expiry_missing"),
        ("an expiry that is text", signed(exp=str(now + 600)), "expiry_invalid"),
        ("an expiry at the end of time", signed(exp=1e300), "expiry_invalid"),
        ("expired", signed(exp=now - 61), "expired"),
        ("expired before all times", signed(exp=-1), "expired"),
        ("a start that is text", signed(nbf="now"), "start_invalid"),
        ("not valid yet", signed(nbf=now + 120), "not_yet_valid"),
        ("a time of issue that is a list", signed(iat=[now]), "issued_invalid"),
        ("issued in the future", signed(iat=now + 120), "issued_later"),
        ("no subject", signed(sub=None), "subject_missing"),
        ("an empty subject", signed(sub=""), "subject_invalid"),
        ("a subject that is a number", signed(sub=1), "subject_invalid"),
        ("a long subject", signed(sub="s" * 256), "subject_invalid"),
        ("a subject of two lines", signed(sub="alice\nbob"), "subject_invalid"),
        ("scopes that are a number", signed(scope=3), "scope_invalid"),
        ("scopes in a list of numbers", signed(scope=None, scp=[1]), "scope_invalid"),
        ("bound to a client's key", signed(cnf={"jkt": "x"}), "bound"),
    ]


def all_of(issuer, audience):
    claims = issuer.claims(audience)
    return [*texts(issuer.token(claims)), *headers(issuer, claims), *forgeries(issuer, claims),
            *claims_that_do_not_hold(issuer, audience)]
