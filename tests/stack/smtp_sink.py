"""An SMTP server that keeps each mail with its envelope, and fails as it is told: the file rules.json
in its folder is read at each step. tests/lib/stack/mail.py starts it and says what a rule is."""

import argparse
import asyncio
import json
import os
import re
import signal
import ssl
import time
import weakref

from aiosmtpd.smtp import SMTP, AuthResult


class Rules:
    """The first rule for a step that has uses left, counted from when the file was written."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "rules.json")
        self.stamp, self.rules = None, []

    def find(self, step, recipients):
        stat = os.stat(self.path)
        stamp = (stat.st_ino, stat.st_mtime_ns)
        if stamp != self.stamp:
            with open(self.path, encoding="utf-8") as f:
                self.rules, self.stamp = json.load(f), stamp
        for rule in self.rules:
            wanted = rule.get("to")
            if rule["at"] != step or rule.get("times", 1) <= 0:
                continue
            if wanted and not any(re.search(wanted, r) for r in recipients):
                continue
            if "times" in rule:
                rule["times"] -= 1
            return rule
        return None


class Mails:
    """NUMBER.eml is the mail as it came and NUMBER.json its envelope; a mail is there once its
    envelope is."""

    def __init__(self, folder):
        self.folder = os.path.join(folder, "mails")
        os.makedirs(self.folder, exist_ok=True)
        numbers = [int(name.split(".")[0]) for name in os.listdir(self.folder)
                   if name.endswith(".json")]
        self.count = max(numbers, default=0)

    def store(self, session, envelope, is_tls):
        self.count += 1
        base = os.path.join(self.folder, f"{self.count:06}")
        with open(f"{base}.eml", "wb") as f:
            f.write(envelope.original_content)
        with open(f"{base}.new", "w", encoding="utf-8") as f:
            json.dump({"from": envelope.mail_from, "to": envelope.rcpt_tos, "at": time.time(),
                       "mail_options": envelope.mail_options,
                       "recipient_options": envelope.rcpt_options, "helo": session.host_name,
                       "tls": is_tls,
                       "user": session.auth_data.decode() if session.auth_data else None}, f)
        os.rename(f"{base}.new", f"{base}.json")


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = await server.follow("mail", [])
        if not answer:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer or "250 2.1.0 Ok"

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = await server.follow("rcpt", [address])
        if not answer:
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return answer or "250 2.1.5 Ok"

    async def handle_DATA(self, server, session, envelope):
        rule = server.rules.find("message", envelope.rcpt_tos)
        if not rule or rule.get("store"):
            is_tls = server.transport.get_extra_info("sslcontext") is not None
            server.mails.store(session, envelope, is_tls)
        return await server.obey(rule) or "250 2.0.0 Ok: stored"


everyone = weakref.WeakSet()


class Sink(SMTP):
    def __init__(self, rules, mails, **settings):
        super().__init__(Handler(), hostname="sink.test", ident="sink", **settings)
        self.rules, self.mails = rules, mails
        everyone.add(self)

    async def obey(self, rule):
        """Waits as the rule says; the answer that it gives, if any."""
        if not rule:
            return None
        await asyncio.sleep(rule.get("delay", 0))
        if rule.get("drop"):
            self.transport.abort()
            return "421 4.4.2 dropped"
        return rule.get("answer")

    async def follow(self, step, recipients):
        return await self.obey(self.rules.find(step, recipients))

    async def _handle_client(self):
        answer = await self.follow("connect", [])
        if answer:
            await self.push(answer)
            self.transport.close()
            return
        await super()._handle_client()

    async def smtp_DATA(self, arg):
        answer = await self.follow("data", self.envelope.rcpt_tos)
        if answer:
            await self.push(answer)
        else:
            await super().smtp_DATA(arg)


def read_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls", metavar="BUNDLE", help="the key and certificate for STARTTLS")
    parser.add_argument("--implicit", action="store_true", help="TLS from the first byte")
    parser.add_argument("--user", metavar="NAME:PASSWORD", help="mail is taken from it only")
    parser.add_argument("--size", type=int, default=1 << 20)
    return parser.parse_args()


def settings_of(arguments):
    """Those of SMTP, and the context of a listener that speaks TLS from the start."""
    settings = {"data_size_limit": arguments.size, "enable_SMTPUTF8": True}
    context = None
    if arguments.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.tls)
        if not arguments.implicit:
            settings["tls_context"] = context
    if arguments.user:
        name, password = arguments.user.split(":", 1)

        def authenticate(server, session, envelope, mechanism, data):
            known = (data.login, data.password) == (name.encode(), password.encode())
            return AuthResult(success=known, handled=False,
                              auth_data=data.login if known else None)

        settings.update(authenticator=authenticate, auth_required=True,
                        auth_require_tls=bool(arguments.tls) and not arguments.implicit)
    return settings, context


async def serve(arguments):
    settings, context = settings_of(arguments)

    def read_again():
        """The certificate; nobody goes on with the old one."""
        context.load_cert_chain(arguments.tls)
        for sink in list(everyone):
            if sink.transport:
                sink.transport.abort()
        print("the certificate was read again", flush=True)

    rules, mails = Rules(arguments.folder), Mails(arguments.folder)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Sink(rules, mails, loop=loop, **settings),
                                      "127.0.0.1", arguments.port, ssl=context if arguments.implicit else None)
    if context:
        loop.add_signal_handler(signal.SIGHUP, read_again)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(read_arguments()))
