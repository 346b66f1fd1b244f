"""Deliveries that no honest broker makes: events with something wrong, bodies that are none, heads
of requests, bulks."""

import copy
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from workers import CLOUDEVENT, event  # noqa: E402

DEEP = 64
LONG = "x" * 100_000


def changed(path, value):
    """A change of an event: the member at `path` becomes `value`, or goes where that is None."""
    def change(e):
        at = e
        for name in path[:-1]:
            at = at[name]
        if value is None:
            del at[path[-1]]
        else:
            at[path[-1]] = value
    return change


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


# Each is JSON, but none is an event that can be handled. The second says whether it is a CloudEvent
# all the same: then it is for the consumer to bury, else the sender is told where there is one.
EVENTS = {
    "without specversion": (changed(["specversion"], None), False),
    "of specversion 0.3": (changed(["specversion"], "0.3"), False),
    "of specversion 1": (changed(["specversion"], 1), False),
    "without id": (changed(["id"], None), False),
    "with an empty id": (changed(["id"], ""), False),
    "with a number as id": (changed(["id"], 7), False),
    "without source": (changed(["source"], None), False),
    "without type": (changed(["type"], None), False),
    "without time": (changed(["time"], None), False),
    "with a time of no zone": (changed(["time"], "2026-01-02T03:04:05"), False),
    "with a time that is none": (changed(["time"], "2026-02-30T00:00:00Z"), False),
    "without datacontenttype": (changed(["datacontenttype"], None), False),
    "of XML": (changed(["datacontenttype"], "text/xml"), False),
    "without data": (changed(["data"], None), False),
    "with data in base64": (changed(["data_base64"], "e30="), False),
    "with an upper-case attribute": (changed(["Tenant"], "x"), False),
    "with an attribute of dashes": (changed(["a-b"], "x"), False),
    "with an empty subject": (changed(["subject"], ""), False),
    "of an unknown type": (changed(["type"], "TaskEatenEvent"), True),
    "of a type that ends in a NUL": (changed(["type"], "TaskDeletedEvent "), True),
    "of a type that is long": (changed(["type"], LONG), True),
    "of another type's data": (changed(["type"], "TaskCreatedEvent"), True),
    "with data that is text": (changed(["data"], "x"), True),
    "with data that is a list": (changed(["data"], [1]), True),
    "with data that is empty": (changed(["data"], {}), True),
    "of a newer major version": (changed(["data", "schema_version"], "2.0"), True),
    "of major version 0": (changed(["data", "schema_version"], "0.9"), True),
    "of a version that is none": (changed(["data", "schema_version"], "1"), True),
    "of a version that is a number": (changed(["data", "schema_version"], 1.0), True),
    "without schema_version": (changed(["data", "schema_version"], None), True),
    "without event_id": (changed(["data", "event_id"], None), True),
    "with another event_id": (changed(["data", "event_id"],
                                      "01900000-0000-7000-8000-000000000000"), True),
    "with an event_id that is no UUID": (changed(["data", "event_id"], "7"), True),
    "without user_id": (changed(["data", "user_id"], None), True),
    "of user 0": (changed(["data", "user_id"], 0), True),
    "of a user below zero": (changed(["data", "user_id"], -1), True),
    "of half a user": (changed(["data", "user_id"], 1.5), True),
    "of user 2^53": (changed(["data", "user_id"], 2**53), True),
    "of user 1e300": (changed(["data", "user_id"], 1e300), True),
    "of a user in quotes": (changed(["data", "user_id"], "1"), True),
    "of a true user": (changed(["data", "user_id"], True), True),
    "of a task that is a list": (changed(["data", "task_id"], [7]), True),
    "with a timestamp that is none": (changed(["data", "timestamp"], "yesterday"), True),
    "with a long id that is no UUID": (changed(["id"], LONG), True),
}

# Bodies that are no JSON or none that is taken, each with the direct way's answer.
BODIES = {
    "empty": (b"", 400),
    "a blank": (b" ", 400),
    "no JSON": (b"event", 400),
    "truncated": (json.dumps(event()).encode()[:-1], 400),
    "truncated in a string": (json.dumps(event()).encode()[:40], 400),
    "two events": (json.dumps(event()).encode() * 2, 400),
    "null": (b"null", 422),
    "a number": (b"7", 422),
    "a list": (json.dumps([event()]).encode(), 422),
    "an empty object": (b"{}", 422),
    "not UTF-8": (json.dumps(event()).encode().replace(b"TaskDeletedEvent", b"\xff\xfe"), 400),
    "a NUL": (json.dumps(event()).encode().replace(b"TaskDeletedEvent", b"a\0b"), 400),
    "an escaped NUL": (json.dumps(event()).encode().replace(b"TaskDeletedEvent", b"a\\u0000"),
                       422),
    "a lone surrogate": (json.dumps(event()).encode().replace(b"TaskDeletedEvent", b"\\ud800"),
                         400),
    "a key twice": (json.dumps(event()).encode().replace(b'"subject"', b'"type"'), 422),
    "deep": (json.dumps({**event(), "x": nested(DEEP)}).encode(), 422),
    "very deep": (b"[" * 500_000, 422),
    "XML": (b"<event/>", 400),
    "JSON behind a BOM": (b"\xef\xbb\xbf" + json.dumps(event()).encode(), 400),
    "a bulk where one event is meant": (json.dumps({"entries": [event()]}).encode(), 422),
}


def broken(change):
    e = copy.deepcopy(event())
    change(e)
    return e


def binary_headers(**replace):
    """The headers of an event in binary mode; None leaves one out."""
    e = event()
    headers = {"ce-specversion": "1.0", "ce-id": e["id"], "ce-source": e["source"],
               "ce-type": e["type"], "ce-time": e["time"], "Content-Type": "application/json",
               **{k.replace("_", "-"): v for k, v in replace.items()}}
    return ({k: v for k, v in headers.items() if v is not None}, json.dumps(e["data"]).encode())


# (headers and body, the direct way's answer) of events in binary mode.
BINARY = {
    "without id": (binary_headers(ce_id=None), 422),
    "without source": (binary_headers(ce_source=None), 422),
    "without type": (binary_headers(ce_type=None), 422),
    "without time": (binary_headers(ce_time=None), 422),
    "of specversion 2": (binary_headers(ce_specversion="2.0"), 422),
    "without specversion": (binary_headers(ce_specversion=None), 415),
    "of text": (binary_headers(Content_Type="text/plain"), 422),
    "with a broken percent sign": (binary_headers(ce_type="a%2"), 422),
    "with an encoded NUL": (binary_headers(ce_type="a%00b"), 422),
    "with half a character": (binary_headers(ce_subject="%C3"), 422),
    "with a name of dashes": (binary_headers(ce_a_b="x"), 422),
    "with a long name": (binary_headers(**{"ce_" + "a" * 21: "x"}), 422),
    "with a long value": (binary_headers(ce_subject="x" * 2000), 422),
    "with data as an attribute": (binary_headers(ce_data="{}"), 422),
    "with two content types": (binary_headers(ce_datacontenttype="application/json"), 422),
    "with many attributes": (binary_headers(**{f"ce_x{n}": "1" for n in range(40)}), 422),
    "of an unknown type": (binary_headers(ce_type="TaskEatenEvent"), 200),
    "with another id": (binary_headers(ce_id="7"), 200),
    "with a body that is no JSON": ((binary_headers()[0], b"x"), 400),
    "with an empty body": ((binary_headers()[0], b""), 400),
}


def head(length, extra=b"", method=b"POST", path=b"/events/task-events"):
    return (method + b" " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + extra +
            (b"Content-Length: %d\r\n" % length if length is not None else b"") + b"\r\n")


TYPE = b"Content-Type: " + CLOUDEVENT.encode() + b"\r\n"
GOOD = json.dumps(event()).encode()

# (bytes, the direct way's answer) below HTTP's meaning of a delivery.
RAW = {
    "no content type": (head(len(GOOD)) + GOOD, 415),
    "an empty content type": (head(len(GOOD), b"Content-Type: \r\n") + GOOD, 415),
    "a form": (head(len(GOOD), b"Content-Type: application/x-www-form-urlencoded\r\n") + GOOD, 415),
    "JSON without attributes": (head(len(GOOD), b"Content-Type: application/json\r\n") + GOOD, 415),
    "a type that only begins as ours": (
        head(len(GOOD), b"Content-Type: application/cloudevents+jsonx\r\n") + GOOD, 415),
    "a batch": (head(len(GOOD), b"Content-Type: application/cloudevents-batch+json\r\n") + GOOD,
                415),
    "1 MiB and a byte": (head((1 << 20) + 1, TYPE) + b" " * ((1 << 20) + 1), 413),
    "chunks past 1 MiB": (head(None, TYPE + b"Transfer-Encoding: chunked\r\n") +
                          b"100001\r\n" + b" " * 0x100001 + b"\r\n0\r\n\r\n", 413),
    "a GET": (head(None, method=b"GET"), 405),
    "a PUT": (head(len(GOOD), TYPE, method=b"PUT") + GOOD, 405),
    "a DELETE": (head(None, method=b"DELETE"), 405),
    "OPTIONS": (head(None, method=b"OPTIONS"), 405),
    "a path below": (head(len(GOOD), TYPE, path=b"/events/task-events/1") + GOOD, 404),
    "a path of dots": (head(len(GOOD), TYPE, path=b"/events/../events/task-events") + GOOD, 404),
    "an encoded path": (head(len(GOOD), TYPE, path=b"/events/task%2devents") + GOOD, 404),
    "daprd's route": (head(None, method=b"GET", path=b"/dapr/subscribe"), 404),
    "a job": (head(2, path=b"/job/check-due-tasks") + b"{}", 404),
    "a length that is too short": (head(len(GOOD) - 1, TYPE) + GOOD, 400),
    "a length that is none": (head(None, TYPE + b"Content-Length: x\r\n") + GOOD, 400),
    "two lengths": (head(len(GOOD), TYPE + b"Content-Length: 1\r\n") + GOOD, 400),
    "length and chunks": (head(len(GOOD), TYPE + b"Transfer-Encoding: chunked\r\n") + GOOD, 400),
    "a head of 20 KB": (head(len(GOOD), TYPE + b"X: " + b"x" * 20000 + b"\r\n") + GOOD, 431),
    "no host": (b"POST /events/task-events HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
}

# Bodies where daprd's envelope is meant: (body, status).
BULKS = {
    "no JSON": (b"x", 400),
    "empty": (b"", 400),
    "a list": (b"[]", 400),
    "without entries": (b'{"id":"1"}', 400),
    "with entries that are text": (b'{"entries":"x"}', 400),
    "with entries that are null": (b'{"entries":null}', 400),
    "with entries that are an object": (b'{"entries":{}}', 400),
    "truncated": (b'{"entries":[{"entryId":"1"', 400),
    "deep": (b'{"entries":' + b"[" * 500 + b"]" * 500 + b"}", 400),
    "with more entries than are taken": (
        json.dumps({"entries": [{"entryId": str(n), "event": {}} for n in range(1001)]}).encode(),
        400),
}

# What a browser adds to a page's request: its Origin, or the name by which the page was reached.
FROM_PAGES = [{"Origin": "http://evil.example"}, {"Origin": "null"},
              {"Origin": "http://localhost:3000"}, {"Host": "evil.example"},
              {"Host": "localhost.evil.example:8003"}, {"Host": "127.0.0.1.evil.example"}]
