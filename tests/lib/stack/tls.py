"""Certificates for the parts that speak TLS, made by the openssl program."""

import os
import subprocess

from .process import program


def _openssl(*words):
    subprocess.run([program("openssl", "openssl"), *words], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Authority:
    """A certificate authority in `folder`; clients trust it by `certificate`."""

    def __init__(self, folder, name="todo-test"):
        self.folder = folder
        self.key = os.path.join(folder, f"{name}.key")
        self.certificate = os.path.join(folder, f"{name}.pem")
        _openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", self.key, "-out", self.certificate, "-days", "30",
                 "-subj", f"/CN={name} authority", "-addext", "keyUsage=critical,keyCertSign")

    def issue(self, name="server", hosts=("DNS:localhost", "IP:127.0.0.1"), days=30):
        """With -1 `days` it has expired."""
        return Certificate(self, name, hosts, days)


class Certificate:
    """`bundle`: the key (PKCS 8) and the certificate in one file."""

    def __init__(self, authority, name, hosts, days):
        base = os.path.join(authority.folder, name)
        self.key, self.certificate, self.bundle = f"{base}.key", f"{base}.crt", f"{base}.bundle"
        _openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-keyout", self.key, "-out", f"{base}.csr", "-subj", f"/CN={name}")
        with open(f"{base}.ext", "w", encoding="ascii") as f:
            f.write(f"subjectAltName={','.join(hosts)}\n")
        _openssl("x509", "-req", "-in", f"{base}.csr", "-CA", authority.certificate, "-CAkey",
                 authority.key, "-CAcreateserial", "-days", str(days), "-extfile", f"{base}.ext",
                 "-out", self.certificate)
        with open(self.bundle, "w", encoding="ascii") as out:
            for path in (self.key, self.certificate):
                with open(path, encoding="ascii") as f:
                    out.write(f.read())
