"""An SMTP server that keeps the mails it is given (tests/stack/smtp_sink.py)."""

import contextlib
import email
import email.policy
import json
import os
import shutil
import socket

from .process import STACK, Process, part, reload_of


class Mail:
    """`envelope`: from, to, at (seconds), tls, user, helo, mail_options. `message` is parsed."""

    def __init__(self, base):
        with open(f"{base}.json", encoding="utf-8") as f:
            self.envelope = json.load(f)
        with open(f"{base}.eml", "rb") as f:
            self.raw = f.read()
        self.message = email.message_from_bytes(self.raw, policy=email.policy.default)


class SmtpSink(Process):
    """`tls`: a tls.Certificate that it offers with STARTTLS (clients trust its Authority; one of
    another authority or for other hosts does not verify), `implicit`: TLS from the first byte;
    `user`: (name, password) without which it takes no mail."""

    name = "smtp"
    port_names = ("smtp",)

    def __init__(self, tls=None, implicit=False, user=None, size=1 << 20, **kwargs):
        super().__init__(**kwargs)
        self.tls, self.implicit, self.user, self.size = tls, implicit, user, size
        self.url = f"{'smtps' if implicit else 'smtp'}://127.0.0.1:{self.port}"
        self.bundle = os.path.join(self.folder, "bundle.pem")
        if tls:
            shutil.copy(tls.bundle, self.bundle)
        if not os.path.exists(os.path.join(self.folder, "rules.json")):
            self.rules()

    def command(self):
        words = [part("python"), f"{STACK}/smtp_sink.py", "--folder", self.folder,
                 "--port", str(self.port), "--size", str(self.size)]
        if self.tls:
            words += ["--tls", self.bundle]
        if self.implicit:
            words += ["--implicit"]
        if self.user:
            words += ["--user", ":".join(self.user)]
        return words

    def offer(self, certificate):
        """From now on, and on its next start; for all, since connections that there are end."""
        shutil.copy(certificate.bundle, self.bundle)
        reload_of(self, "the certificate was read again")

    def is_ready(self):
        """It has greeted, so that no rule for a connection is spent on this one."""
        if self.implicit:
            return super().is_ready()
        with contextlib.suppress(OSError), \
                socket.create_connection(("127.0.0.1", self.port), timeout=1) as s:
            return bool(s.recv(1))
        return False

    def rules(self, *rules):
        """What it does from now on; without a rule it takes all. A rule is a dict: `at` connect,
        mail, rcpt, data (the command) or message (its end); `answer` ("451 4.3.0 later") instead of
        its own; `delay` in seconds; `drop`: it cuts the connection; `to`: only for a recipient that
        this expression finds; `times`: so often, else always; `store`, for message: the mail is
        kept although the answer is not that it was."""
        path = os.path.join(self.folder, "rules.json")
        with open(path + ".new", "w", encoding="utf-8") as f:
            json.dump(rules, f)
        os.rename(path + ".new", path)

    def mails(self):
        """All that it has taken, in order."""
        folder = os.path.join(self.folder, "mails")
        if not os.path.isdir(folder):
            return []
        return [Mail(os.path.join(folder, name[:-5])) for name in sorted(os.listdir(folder))
                if name.endswith(".json")]
