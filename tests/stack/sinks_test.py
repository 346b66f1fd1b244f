"""The SMTP sink and the collector of traces behave as the tests that use them are told."""

import json
import os
import smtplib
import ssl
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from stack import Authority, OtlpCollector, SmtpSink, http_status  # noqa: E402

TEXT = "Subject: Milk\r\n\r\n.dots\r\nand text\r\n"


def send(sink, to="a@example.com", tls=None, user=None):
    with smtplib.SMTP("127.0.0.1", sink.port, timeout=10) as client:
        if tls:
            client.starttls(context=ssl.create_default_context(cafile=tls))
        if user:
            client.login(*user)
        client.sendmail("todo@example.com", [to], TEXT)


class Sink(unittest.TestCase):
    def start(self, **kwargs):
        sink = SmtpSink(**kwargs)
        self.addCleanup(sink.close)
        return sink.start()

    def authority(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return Authority(folder.name)

    def test_a_mail_is_kept_with_its_envelope_also_over_a_kill(self):
        sink = self.start()
        send(sink)
        sink.kill()
        sink.start()
        send(sink, "b@example.com")
        first, second = sink.mails()
        self.assertEqual((first.envelope["from"], first.envelope["to"], second.envelope["to"]),
                         ("todo@example.com", ["a@example.com"], ["b@example.com"]))
        self.assertEqual(first.raw, TEXT.encode())
        self.assertEqual(first.message["Subject"], "Milk")
        self.assertLessEqual(first.envelope["at"], second.envelope["at"])
        self.assertFalse(first.envelope["tls"])

    def test_it_answers_as_a_rule_says_and_so_often(self):
        sink = self.start()
        for step, answer, error in (
                ("connect", "421 4.3.2 busy", smtplib.SMTPConnectError),
                ("mail", "451 4.3.0 later", smtplib.SMTPSenderRefused),
                ("rcpt", "550 5.1.1 nobody", smtplib.SMTPRecipientsRefused),
                ("data", "451 4.3.0 later", smtplib.SMTPDataError),
                ("message", "554 5.6.0 no", smtplib.SMTPDataError)):
            sink.rules({"at": step, "answer": answer, "times": 1})
            with self.assertRaises(error, msg=step):
                send(sink)
            send(sink)
        self.assertEqual(len(sink.mails()), 5)

    def test_a_rule_may_be_for_one_recipient(self):
        sink = self.start()
        sink.rules({"at": "rcpt", "to": "^bad@", "answer": "550 5.1.1 nobody"})
        send(sink, "good@example.com")
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            send(sink, "bad@example.com")

    def test_it_cuts_the_connection_before_or_after_it_took_the_mail(self):
        sink = self.start()
        for rule, kept in (({"at": "data", "drop": True}, 0), ({"at": "message", "drop": True}, 0),
                           ({"at": "message", "drop": True, "store": True}, 1)):
            sink.rules(rule)
            with self.assertRaises((smtplib.SMTPException, OSError)):
                send(sink)
            self.assertEqual(len(sink.mails()), kept)

    def test_it_is_slow(self):
        sink = self.start()
        sink.rules({"at": "mail", "delay": 30})
        with self.assertRaises(OSError), smtplib.SMTP("127.0.0.1", sink.port, timeout=0.3) as c:
            c.sendmail("a@example.com", ["b@example.com"], TEXT)

    def test_starttls_verifies_only_with_the_right_authority_and_host(self):
        authority = self.authority()
        good = self.start(tls=authority.issue())
        send(good, tls=authority.certificate)
        self.assertTrue(good.mails()[0].envelope["tls"])
        with self.assertRaises(ssl.SSLError):
            send(good, tls=self.authority().certificate)
        wrong = self.start(tls=authority.issue("wrong", hosts=("DNS:elsewhere.example",)))
        with self.assertRaises(ssl.SSLError):
            send(wrong, tls=authority.certificate)

    def test_tls_from_the_first_byte(self):
        authority = self.authority()
        sink = self.start(tls=authority.issue(), implicit=True)
        context = ssl.create_default_context(cafile=authority.certificate)
        with smtplib.SMTP_SSL("127.0.0.1", sink.port, timeout=10, context=context) as client:
            client.sendmail("a@example.com", ["b@example.com"], TEXT)
        self.assertTrue(sink.mails()[0].envelope["tls"])

    def test_only_its_user_may_send(self):
        sink = self.start(user=("todo", "secret"))
        with self.assertRaises(smtplib.SMTPSenderRefused):
            send(sink)
        with self.assertRaises(smtplib.SMTPAuthenticationError):
            send(sink, user=("todo", "wrong"))
        send(sink, user=("todo", "secret"))
        self.assertEqual(sink.mails()[0].envelope["user"], "todo")


class Collector(unittest.TestCase):
    def test_it_keeps_json_and_refuses_the_rest(self):
        span = {"traceId": "0" * 31 + "1", "spanId": "0" * 15 + "2", "name": "add_task"}
        request = {"resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "x"}}]},
            "scopeSpans": [{"spans": [span]}]}]}
        with OtlpCollector() as collector:
            def post(body, kind):
                return http_status(f"{collector.url}/v1/traces", method="POST", body=body,
                                   headers={"Content-Type": kind})
            self.assertEqual(post(json.dumps(request).encode(), "application/json"), 200)
            self.assertEqual(post(b"\x0a", "application/x-protobuf"), 415)
            self.assertEqual(post(b"{}", "application/json"), 400)
            self.assertEqual(collector.spans(), [{**span, "resource": {"service.name": "x"}}])


if __name__ == "__main__":
    unittest.main(verbosity=2)
