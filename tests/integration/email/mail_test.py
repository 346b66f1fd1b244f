"""What mail programs make of todo-email's mails: Python's email package reads each title back as it
was written, and no title makes a header, a part or markup.

TODO_MCP names the server; the worker is found beside it."""

import html.parser
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from email_test import ADDRESS, Case, deliver  # noqa: E402

HEADERS = ["Date", "From", "To", "Subject", "Message-ID", "List-Id", "Auto-Submitted",
           "MIME-Version", "Content-Type"]
TITLES = [
    "Call them",
    "Müll rausbringen 🗑️",
    "買い物に行く " * 12,
    "x" * 200,
    "🎉" * 200,
    "x\r\nBcc: everyone@example.org",
    "x\n\n<b>body</b>\n.\n.",
    "\r\n.\r\nMAIL FROM:<x@y>",
    "=?UTF-8?B?eA==?= and =?utf-8?q?y?=",
    "--=_boundary--",
    "<script>alert('x')</script> & \"more\" &amp;",
    "From here to =there= %s %n {task_id}",
    ". starts with a dot",
    "tab\tand \u2028 line \u2029 ends \x85 and \x0b\x7f",
    "right \u202eto left",
    "  ",
    "ends with blanks   ",
]


def cleaned(title):
    """A title as one line: each control character is a blank."""
    return re.sub("[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", title)


def text_of(message):
    return message.get_body(("plain",)).get_content().replace("\r\n", "\n")


class Text(html.parser.HTMLParser):
    """The text of a document, and its tags and links."""

    def __init__(self, document):
        super().__init__()
        self.text, self.tags, self.links = "", set(), []
        self.feed(document)

    def handle_data(self, data):
        self.text += data

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]


class Mails(Case):
    def mails(self, reminders, **settings):
        """One for each, in order."""
        sink = self.sink()
        worker = self.worker(sink, **settings)
        for reminder in reminders:
            self.assertEqual(deliver(worker, reminder), 200)
        worker.end()
        self.assertEqual(len(sink.mails()), len(reminders))
        return sink.mails()

    def check_form(self, mail):
        lines = mail.raw.split(b"\r\n")
        self.assertNotRegex(mail.raw.replace(b"\r\n", b""), b"[\r\n\x00\x80-\xff]")
        self.assertLessEqual(max(map(len, lines)), 100)
        self.assertEqual(mail.message.keys(), HEADERS)
        self.assertEqual(mail.message.defects, [])
        self.assertEqual([part.get_content_type() for part in mail.message.walk()],
                         ["multipart/alternative", "text/plain", "text/html"])
        for part in mail.message.iter_parts():
            self.assertEqual(part.defects, [])
            self.assertEqual(part.keys(), ["Content-Type", "Content-Transfer-Encoding"])

    def test_each_title_is_read_back_as_it_was_written(self):
        reminders = [self.reminder(title=title) for title in TITLES]
        tags = None
        for title, mail in zip(TITLES, self.mails(reminders)):
            with self.subTest(title=title):
                self.check_form(mail)
                self.assertEqual(mail.envelope["to"], [ADDRESS])
                subject = mail.message["Subject"]
                self.assertEqual(subject.split(), ["Reminder:", *cleaned(title).split()])
                text = text_of(mail.message)
                self.assertEqual(text.split("\n\n")[0], cleaned(title))
                page = Text(mail.message.get_body(("html",)).get_content())
                self.assertIn(cleaned(title), page.text)
                tags = tags or page.tags
                self.assertEqual(page.tags, tags)

    def test_a_mail_says_what_a_reminder_says(self):
        reminder = self.reminder(title="Call them", task_id=42, priority="urgent",
                                 due_date="2026-07-01T10:00:00Z")
        mail = self.mails([reminder],
                          TASK_URL_TEMPLATE="https://todo.example.com/t/{task_id}?a=1&b=2")[0]
        message = mail.message
        self.assertEqual(message["From"].addresses[0].addr_spec, "todo@example.com")
        self.assertEqual(message["From"].addresses[0].display_name, "Todo")
        self.assertEqual(message["To"].addresses[0].addr_spec, ADDRESS)
        self.assertEqual(message["Message-ID"], f"<{reminder['id']}@example.com>")
        self.assertEqual(message["List-Id"], "Todo reminders <reminders.example.com>")
        self.assertEqual(message["Auto-Submitted"], "auto-generated")
        self.assertEqual(message["Importance"], "high")
        self.assertEqual(message["Date"].datetime.isoformat(), "2026-01-02T03:04:05+00:00")
        link = "https://todo.example.com/t/42?a=1&b=2"
        due = "Wednesday, 1 July 2026, 12:00 (Europe/Berlin)"
        text = text_of(message)
        self.assertIn(f"Due: {due}\nPriority: urgent\n\n{link}\n", text)
        page = Text(message.get_body(("html",)).get_content())
        self.assertIn(due, page.text)
        self.assertEqual(page.links, [link])

    def test_a_due_date_stands_in_the_users_time_zone(self):
        times = [("Europe/Berlin", "2026-10-25T00:30:00Z", "Sunday, 25 October 2026, 02:30"),
                 ("Europe/Berlin", "2026-10-25T01:30:00Z", "Sunday, 25 October 2026, 02:30"),
                 ("America/New_York", "2026-03-08T07:00:00Z", "Sunday, 8 March 2026, 03:00"),
                 ("Asia/Kathmandu", "2027-12-31T18:15:00Z", "Saturday, 1 January 2028, 00:00"),
                 ("UTC", "9999-12-31T23:59:59Z", "Friday, 31 December 9999, 23:59")]
        reminders = [self.reminder(user_id=self.add_user(ADDRESS, zone), due_date=due)
                     for zone, due, _ in times]
        for (zone, _, shown), mail in zip(times, self.mails(reminders)):
            self.assertIn(f"Due: {shown} ({zone})\n", text_of(mail.message))

    def test_an_address_beyond_ascii_is_written_to(self):
        user = self.add_user("jürgen@example.org")
        mail = self.mails([self.reminder(user_id=user, title="Grüße")])[0]
        self.assertEqual(mail.envelope["to"], ["jürgen@example.org"])
        self.assertIn("SMTPUTF8", mail.envelope["mail_options"])
        self.assertIn("To: jürgen@example.org\r\n".encode(), mail.raw)


if __name__ == "__main__":
    unittest.main(verbosity=2)
