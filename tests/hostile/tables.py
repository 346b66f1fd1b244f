"""The tables of hostile inputs: bodies, raw bytes, refused calls and odd texts, each with the answer
that it must get."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "lib"))
from todo_server import MODERN  # noqa: E402

META = {"io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {}}
PARSE, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022


def rpc(method="tools/list", params=None, request_id=1, **members):
    params = {"_meta": META, **(params or {})}
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params,
                       **members}).encode()


def call(tool, **arguments):
    return rpc("tools/call", {"name": tool, "arguments": arguments})


def post(body, *, method="POST", path="/mcp", drop=(), **replace):
    """The bytes of a request; the MCP headers are taken from the body where it has them."""
    headers = {"Host": "127.0.0.1", "Content-Type": "application/json",
               "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": MODERN,
               "Content-Length": str(len(body)), "Connection": "close"}
    try:
        message = json.loads(body)
        headers["Mcp-Method"] = message["method"]
        if isinstance(message["params"].get("name"), str):
            headers["Mcp-Name"] = message["params"]["name"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        headers["Mcp-Method"] = "tools/list"
    for name, value in replace.items():
        headers[name.replace("_", "-")] = value
    for name in drop:
        headers.pop(name, None)
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    return head.encode() + b"\r\n" + body


def split_answer(answer):
    """(status, headers, body) of the last response in the bytes."""
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    return (int(lines[0].split(" ")[1]) if lines[0] else 0), headers, body


LONG = "x" * 300_000
DEEP = "[" * 100_000
# Bodies that are no valid message: name -> (body, HTTP status, JSON-RPC code)
BODIES = {
    "empty body": (b"", 400, PARSE),
    "white space": (b"   \n", 400, PARSE),
    "no JSON": (b"hello", 400, PARSE),
    "cut in the middle": (rpc()[:-5], 400, PARSE),
    "two values": (rpc() + rpc(), 400, PARSE),
    "trailing comma": (b'{"jsonrpc":"2.0","id":1,"method":"ping",}', 400, PARSE),
    "single quotes": (b"{'jsonrpc':'2.0'}", 400, PARSE),
    "comment": (b'/* hi */{"jsonrpc":"2.0","id":1,"method":"ping"}', 400, PARSE),
    "unquoted key": (b'{jsonrpc:"2.0"}', 400, PARSE),
    "NaN": (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', 400, PARSE),
    "Infinity": (b'{"jsonrpc":"2.0","id":Infinity,"method":"ping"}', 400, PARSE),
    "number out of range": (b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}', 400, None),
    "leading zero": (b'{"jsonrpc":"2.0","id":01,"method":"ping"}', 400, PARSE),
    "plus sign": (b'{"jsonrpc":"2.0","id":+1,"method":"ping"}', 400, PARSE),
    "byte order mark": (b"\xef\xbb\xbf" + rpc(), 400, PARSE),
    "UTF-16": (rpc().decode().encode("utf-16"), 400, PARSE),
    "invalid UTF-8": (b'{"jsonrpc":"2.0","id":"\xff","method":"ping"}', 400, PARSE),
    "overlong UTF-8": (b'{"jsonrpc":"2.0","id":"\xc0\xaf","method":"ping"}', 400, PARSE),
    "UTF-8 surrogate": (b'{"jsonrpc":"2.0","id":"\xed\xa0\x80","method":"ping"}', 400, PARSE),
    "cut UTF-8": (b'{"jsonrpc":"2.0","id":"\xe2\x82","method":"ping"}', 400, PARSE),
    "lone high surrogate": (b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}', 400, PARSE),
    "lone low surrogate": (b'{"jsonrpc":"2.0","id":"\\udc00","method":"ping"}', 400, PARSE),
    "reversed surrogates": (b'{"jsonrpc":"2.0","id":"\\udc00\\ud800","method":"x"}', 400, PARSE),
    "escaped NUL": (b'{"jsonrpc":"2.0","id":"a\\u0000b","method":"ping"}', 400, None),
    "raw NUL": (b'{"jsonrpc":"2.0","id":"a\x00b","method":"ping"}', 400, PARSE),
    "control character": (b'{"jsonrpc":"2.0","id":"a\x01b","method":"ping"}', 400, PARSE),
    "raw newline in a string": (b'{"jsonrpc":"2.0","id":"a\nb","method":"ping"}', 400, PARSE),
    "bad escape": (b'{"jsonrpc":"2.0","id":"\\x41","method":"ping"}', 400, PARSE),
    "deep arrays": (DEEP.encode(), 400, None),
    "deep objects": (b'{"a":' * 50_000, 400, None),
    "deep and closed": (b"[" * 65 + b"]" * 65, 400, None),
    "duplicate method": (b'{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}', 400, None),
    "duplicate id": (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', 400, None),
    "a number": (b"1", 400, INVALID_REQUEST),
    "a string": (b'"ping"', 400, INVALID_REQUEST),
    "null": (b"null", 400, INVALID_REQUEST),
    "empty object": (b"{}", 400, INVALID_REQUEST),
    "empty batch": (b"[]", 400, INVALID_REQUEST),
    "batch": (b"[" + rpc() + b"]", 400, INVALID_REQUEST),
    "no jsonrpc": (b'{"id":1,"method":"ping","params":{}}', 400, INVALID_REQUEST),
    "jsonrpc 1.0": (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', 400, INVALID_REQUEST),
    "jsonrpc a number": (b'{"jsonrpc":2.0,"id":1,"method":"ping"}', 400, INVALID_REQUEST),
    "method a number": (b'{"jsonrpc":"2.0","id":1,"method":1}', 400, INVALID_REQUEST),
    "method null": (b'{"jsonrpc":"2.0","id":1,"method":null}', 400, INVALID_REQUEST),
    "no method": (b'{"jsonrpc":"2.0","id":1,"params":{}}', 400, INVALID_REQUEST),
    "method in capitals": (b'{"jsonrpc":"2.0","id":1,"METHOD":"ping"}', 400, INVALID_REQUEST),
    "id null": (rpc(request_id=None), 400, INVALID_REQUEST),
    "id fractional": (rpc(request_id=1.5), 400, INVALID_REQUEST),
    "id an object": (rpc(request_id={}), 400, INVALID_REQUEST),
    "id of 1,025 bytes": (rpc(request_id="x" * 1025), 400, INVALID_REQUEST),
    "id an array": (rpc(request_id=[1]), 400, INVALID_REQUEST),
    "id a boolean": (rpc(request_id=True), 400, INVALID_REQUEST),
    "params an array": (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[]}', 400, None),
    "params a string": (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":"x"}', 400, None),
    "no _meta": (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}', 400,
                 INVALID_PARAMS),
    "_meta a string": (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":"x"}}',
                       400, INVALID_PARAMS),
    "unknown version": (rpc(params={"_meta": {**META,
                                              "io.modelcontextprotocol/protocolVersion": "1900"}}),
                        400, HEADER_MISMATCH),
    "version a number": (rpc(params={"_meta": {**META,
                                               "io.modelcontextprotocol/protocolVersion": 7}}),
                         400, None),
    "capabilities a string": (rpc(params={"_meta": {
        **META, "io.modelcontextprotocol/clientCapabilities": "all"}}), 400, INVALID_PARAMS),
    "unknown method": (rpc("tasks/destroy"), 404, NO_METHOD),
    "method with a NUL escape": (b'{"jsonrpc":"2.0","id":1,"method":"a\\u0000"}', 400, None),
    "internal-looking method": (rpc("__proto__"), 404, NO_METHOD),
    "names to listen to that are too long": (rpc("subscriptions/listen", {"notifications": {
        "resourceSubscriptions": [f"task://{n}" + "9" * 70_000 for n in (1, 2)]}}), 200,
                                             INVALID_PARAMS),
    "unknown tool": (call("drop_tables"), 200, INVALID_PARAMS),
    "tool name a number": (rpc("tools/call", {"name": 7}), None, INVALID_PARAMS),
    "no tool name": (rpc("tools/call", {}), None, INVALID_PARAMS),
    "arguments an array": (rpc("tools/call", {"name": "list_tasks", "arguments": []}), None,
                           INVALID_PARAMS),
    "arguments a string": (rpc("tools/call", {"name": "list_tasks", "arguments": "x"}), None,
                           INVALID_PARAMS),
    "cursor of another server": (rpc("tools/list", {"cursor": "AAAA"}), None, INVALID_PARAMS),
    "cursor a number": (rpc("tools/list", {"cursor": 1}), None, INVALID_PARAMS),
}

# HTTP faults: name -> (raw bytes, HTTP status; 0: the connection just closes)
RAW = {
    "no HTTP": (b"hello\r\n\r\n", 400),
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    "HTTP/0.9": (b"GET /mcp\r\n\r\n", 505),
    "HTTP/3.0": (b"GET /mcp HTTP/3.0\r\nHost: 127.0.0.1\r\n\r\n", (400, 505)),
    "no Host": (post(rpc(), drop=["Host"]), 400),
    "two Hosts": (post(rpc(), Host="127.0.0.1\r\nHost: 127.0.0.1"), 400),
    "space before the colon": (post(rpc(), Host="127.0.0.1\r\nX-A : b"), 400),
    "folded header": (post(rpc(), Host="127.0.0.1\r\nX-A: b\r\n  c"), 400),
    "NUL in a header": (post(rpc(), Host="127.0.0.1\r\nX-A: b\x00c"), 400),
    "header with no name": (post(rpc(), Host="127.0.0.1\r\n: b"), 400),
    "length and chunked": (post(rpc(), Transfer_Encoding="chunked"), 400),
    "two lengths": (post(rpc(), Host="127.0.0.1\r\nContent-Length: 3"), 400),
    "negative length": (post(rpc(), Content_Length="-1"), 400),
    "length no number": (post(rpc(), Content_Length="abc"), 400),
    "length over 64 bits": (post(rpc(), Content_Length="99999999999999999999999"), (400, 413)),
    "unknown coding": (post(rpc(), drop=["Content-Length"], Transfer_Encoding="gzip"), (400, 501)),
    "bad chunk size": (post(b"zz\r\nabc\r\n0\r\n\r\n", drop=["Content-Length"],
                            Transfer_Encoding="chunked"), 400),
    "chunk size overflow": (post(b"ffffffffffffffffff\r\nabc\r\n", drop=["Content-Length"],
                                 Transfer_Encoding="chunked"), (400, 413)),
    "body over the limit": (post(b"x" * (1 << 20) + b"x"), 413),
    "announced over the limit": (post(b"", Content_Length="2000000000"), 413),
    "header over the limit": (post(rpc(), X_Long="x" * 20_000), 431),
    "1,000 headers": (post(rpc(), Host="127.0.0.1" + "\r\nA: b" * 4_000), 431),
    "target over the limit": (post(rpc(), path="/" + "x" * 20_000), (414, 431)),
    "unknown expectation": (post(rpc(), Expect="magic"), 417),
    "other path": (post(rpc(), path="/nothing"), 404),
    "path that climbs": (post(rpc(), path="/mcp/../../etc/passwd"), 404),
    "encoded path": (post(rpc(), path="/%6dcp"), 404),
    "metrics by a name of rebinding": (post(b"", method="GET", path="/metrics",
                                            Host="evil.example"), 403),
    "PUT": (post(rpc(), method="PUT"), 405),
    "PATCH": (post(rpc(), method="PATCH"), 405),
    "GET without a session": (post(b"", method="GET"), (400, 405)),
    "DELETE without a session": (post(b"", method="DELETE"), (400, 405)),
    "TRACE": (post(b"", method="TRACE"), 405),
    "CONNECT": (b"CONNECT 127.0.0.1:80 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", (400, 404, 405)),
    "text body": (post(rpc(), Content_Type="text/plain"), 415),
    "form body": (post(rpc(), Content_Type="application/x-www-form-urlencoded"), 415),
    "no content type": (post(rpc(), drop=["Content-Type"]), 415),
    "Accept of text only": (post(rpc(), Accept="text/html"), 406),
    "foreign Origin": (post(rpc(), Origin="http://evil.example"), 403),
    "Origin null": (post(rpc(), Origin="null"), 403),
    "Origin that begins right": (post(rpc(), Origin="http://localhost.evil.example"), 403),
    "Origin with user info": (post(rpc(), Origin="http://localhost@evil.example"), 403),
    "Host of another site": (post(rpc(), Host="evil.example"), 403),
    "Host that begins right": (post(rpc(), Host="localhost.evil.example"), 403),
    "Host of rebinding": (post(rpc(), Host="127.0.0.1.evil.example:80"), 403),
    "no Mcp-Method": (post(rpc(), drop=["Mcp-Method"]), 400),
    "other Mcp-Method": (post(rpc(), Mcp_Method="tools/call"), 400),
    "other Mcp-Name": (post(call("list_tasks"), Mcp_Name="delete_task"), 400),
    "no Mcp-Name": (post(call("list_tasks"), drop=["Mcp-Name"]), 400),
    "bad base64 in Mcp-Name": (post(call("list_tasks"), Mcp_Name="=?base64?%%%?="), 400),
    "other version header": (post(rpc(), MCP_Protocol_Version="2025-11-25"), 400),
    "unknown version header": (post(rpc(), MCP_Protocol_Version="2099-01-01"), 400),
    "unknown session": (post(b'{"jsonrpc":"2.0","id":1,"method":"ping"}', drop=["Mcp-Method"],
                             MCP_Protocol_Version="2025-11-25", Mcp_Session_Id="nonsense"), 404),
    "session with odd characters": (post(
        b'{"jsonrpc":"2.0","id":1,"method":"ping"}', drop=["Mcp-Method"],
        MCP_Protocol_Version="2025-11-25", Mcp_Session_Id="' or 1=1 --"), (400, 404)),
}

# Arguments that a tool must refuse: (tool, arguments, code, field)
REFUSED = [
    ("add_task", {}, "validation_error", "title"),
    ("add_task", {"title": ""}, "validation_error", "title"),
    ("add_task", {"title": "   \t\n"}, "validation_error", "title"),
    ("add_task", {"title": "\u3000\u00a0"}, "validation_error", "title"),
    ("add_task", {"title": None}, "validation_error", "title"),
    ("add_task", {"title": 7}, "validation_error", "title"),
    ("add_task", {"title": ["a"]}, "validation_error", "title"),
    ("add_task", {"title": "x" * 201}, "validation_error", "title"),
    ("add_task", {"title": "é" * 201}, "validation_error", "title"),
    ("add_task", {"title": LONG}, "validation_error", "title"),
    ("add_task", {"title": "a", "description": "x" * 10_001}, "validation_error", "description"),
    ("add_task", {"title": "a", "description": {}}, "validation_error", "description"),
    ("add_task", {"title": "a", "priority": "highest"}, "validation_error", "priority"),
    ("add_task", {"title": "a", "priority": "HIGH"}, "validation_error", "priority"),
    ("add_task", {"title": "a", "priority": 3}, "validation_error", "priority"),
    ("add_task", {"title": "a", "due_date": "tomorrow"}, "validation_error", "due_date"),
    ("add_task", {"title": "a", "due_date": "2027-01-01"}, "validation_error", "due_date"),
    ("add_task", {"title": "a", "due_date": "2027-01-01T10:00:00"}, "validation_error",
     "due_date"),
    ("add_task", {"title": "a", "due_date": "2027-02-30T10:00:00Z"}, "validation_error",
     "due_date"),
    ("add_task", {"title": "a", "due_date": "2027-01-01T25:00:00Z"}, "validation_error",
     "due_date"),
    ("add_task", {"title": "a", "due_date": 1767225600}, "validation_error", "due_date"),
    ("add_task", {"title": "a", "recurrence_rule": "daily"}, "validation_error",
     None),
    ("add_task", {"title": "a", "due_date": "2027-01-01T10:00:00Z",
                  "recurrence_rule": "FREQ=SECONDLY"}, "validation_error", "recurrence_rule"),
    ("add_task", {"title": "a", "due_date": "2027-01-01T10:00:00Z",
                  "recurrence_rule": "FREQ=DAILY;INTERVAL=0"}, "validation_error",
     "recurrence_rule"),
    ("add_task", {"title": "a", "due_date": "2027-01-01T10:00:00Z",
                  "recurrence_rule": "FREQ=DAILY;COUNT=2;UNTIL=20280101T000000Z"},
     "validation_error", "recurrence_rule"),
    ("add_task", {"title": "a", "due_date": "2027-01-01T10:00:00Z",
                  "recurrence_rule": "'; drop table todo.tasks; --"}, "validation_error",
     "recurrence_rule"),
    ("add_task", {"title": "a", "timezone": "Mars/Olympus"}, "validation_error", "timezone"),
    ("add_task", {"title": "a", "timezone": "../../etc/passwd"}, "validation_error", "timezone"),
    ("add_task", {"title": "a", "category_id": 0}, "validation_error", "category_id"),
    ("add_task", {"title": "a", "category_id": -1}, "validation_error", "category_id"),
    ("add_task", {"title": "a", "category_id": 1.5}, "validation_error", "category_id"),
    ("add_task", {"title": "a", "category_id": "1"}, "validation_error", "category_id"),
    ("add_task", {"title": "a", "category_id": 2**53 + 1}, "validation_error", "category_id"),
    ("add_task", {"title": "a", "category_id": 1e300}, "validation_error", "category_id"),
    ("add_task", {"title": "a", "category_id": 999_999}, "not_found", "category_id"),
    ("add_task", {"title": "a", "tag_ids": [1, 1]}, "validation_error", None),
    ("add_task", {"title": "a", "tag_ids": list(range(1, 12))}, "validation_error", None),
    ("add_task", {"title": "a", "tag_ids": "1"}, "validation_error", "tag_ids"),
    ("add_task", {"title": "a", "tag_ids": [999_999]}, "not_found", None),
    ("add_task", {"title": "a", "idempotency_key": "k" * 129}, "validation_error",
     "idempotency_key"),
    ("add_task", {"title": "a", "user_id": 2}, "validation_error", "user_id"),
    ("add_task", {"title": "a", "__proto__": {}}, "validation_error", "__proto__"),
    ("add_task", {"titel": "a"}, "validation_error", None),
    ("list_tasks", {"status": "done"}, "validation_error", "status"),
    ("list_tasks", {"limit": 0}, "validation_error", "limit"),
    ("list_tasks", {"limit": 201}, "validation_error", "limit"),
    ("list_tasks", {"limit": "25"}, "validation_error", "limit"),
    ("list_tasks", {"limit": -1}, "validation_error", "limit"),
    ("list_tasks", {"sort_by": "title; drop table x"}, "validation_error", "sort_by"),
    ("list_tasks", {"order": "up"}, "validation_error", "order"),
    ("list_tasks", {"cursor": "not a cursor"}, "validation_error", "cursor"),
    ("list_tasks", {"cursor": ""}, "validation_error", "cursor"),
    ("list_tasks", {"cursor": "AAAAAAAAAAAAAAAAAAAAAAAA"}, "validation_error", "cursor"),
    ("list_tasks", {"cursor": "x" * 10_000}, "validation_error", "cursor"),
    ("list_tasks", {"fields": ["password"]}, "validation_error", None),
    ("list_tasks", {"due_before": "now()"}, "validation_error", "due_before"),
    ("get_task", {}, "validation_error", "task_id"),
    ("get_task", {"task_id": "1 or 1=1"}, "validation_error", "task_id"),
    ("get_task", {"task_id": None}, "validation_error", "task_id"),
    ("get_task", {"task_id": 0}, "validation_error", "task_id"),
    ("get_task", {"task_id": 2**63}, "validation_error", "task_id"),
    ("get_task", {"task_id": 999_999}, "not_found", "task_id"),
    ("update_task", {"task_id": 999_999, "title": "a"}, "not_found", "task_id"),
    ("update_task", {"task_id": 1}, "validation_error", None),
    ("update_task", {"task_id": 1, "title": None}, "validation_error", "title"),
    ("update_task", {"task_id": 1, "completed": "yes"}, "validation_error", "completed"),
    ("update_task", {"task_id": 1, "priority": None}, "validation_error", "priority"),
    ("update_task", {"task_id": 1, "title": "a", "expected_version": 0}, "validation_error",
     "expected_version"),
    ("complete_task", {"task_id": 999_999}, "not_found", "task_id"),
    ("delete_task", {"task_id": 999_999}, "not_found", "task_id"),
    ("create_category", {"name": ""}, "validation_error", "name"),
    ("create_category", {"name": "x" * 51}, "validation_error", "name"),
    ("create_category", {"name": "a", "color": "red"}, "validation_error", "color"),
    ("create_category", {"name": "a", "color": "#12345"}, "validation_error", "color"),
    ("create_category", {"name": "a", "color": "#12345g"}, "validation_error", "color"),
    ("create_tag", {"name": "x" * 31}, "validation_error", "name"),
    ("create_tag", {"name": "a\u001fb"}, "validation_error", "name"),
    ("update_category", {"category_id": 999_999, "name": "a"}, "not_found", "category_id"),
    ("update_tag", {"tag_id": 999_999, "name": "a"}, "not_found", "tag_id"),
    ("delete_category", {"category_id": 999_999}, "not_found", "category_id"),
    ("delete_tag", {"tag_id": 999_999}, "not_found", "tag_id"),
    ("add_tag_to_task", {"task_id": 999_999, "tag_id": 1}, "not_found", None),
    ("remove_tag_from_task", {"task_id": 1, "tag_id": "1"}, "validation_error", "tag_id"),
    ("search_tasks", {}, "validation_error", "query"),
    ("search_tasks", {"query": ""}, "validation_error", "query"),
    ("search_tasks", {"query": "x" * 501}, "validation_error", "query"),
    ("search_tasks", {"query": "a", "limit": 101}, "validation_error", "limit"),
    ("search_tasks", {"query": "a", "cursor": "zzz"}, "validation_error", "cursor"),
    ("set_reminder", {"task_id": 1}, "validation_error", None),
    ("set_reminder", {"task_id": 1, "remind_before_minutes": 525_601}, "validation_error",
     "remind_before_minutes"),
    ("set_reminder", {"task_id": 1, "remind_before_minutes": -1}, "validation_error",
     "remind_before_minutes"),
    ("set_reminder", {"task_id": 1, "remind_at": "2020-01-01T00:00:00Z"}, "validation_error",
     "remind_at"),
    ("set_reminder", {"task_id": 999_999, "remind_at": "2099-01-01T00:00:00Z"}, "not_found",
     "task_id"),
    ("set_reminder", {"task_id": 1, "remind_at": "2099-01-01T00:00:00Z",
                      "remind_before_minutes": 5}, "validation_error", None),
]

# Text that must come back as it went in: no SQL, no format, no markup is ever read in it.
TEXTS = ["'; drop table todo.tasks; --", "' or '1'='1", '"; select pg_sleep(10); --', "$1", "%s%n",
         "\\", "\\'", "a\\", "{{7*7}}", "<script>alert(1)</script>", "\u202eevil", "👩‍👩‍👧‍👦",
         "\U0010ffff", "‮ \u2028 \u2029", "null", "E'\\x41'", "tab\there", "line\nbreak"]
