"""One face for every client: a session lists the tools and calls them, whoever speaks the protocol.

    with PythonSession(target, revision) as session:
        session.tools["add_task"]
        session.call("add_task", title="x")   # the structured content; raises ToolError
        session.answer("add_task", title="x") # (structured content, text)

A target says where the server is: over HTTP, or the program to start for stdio."""

import contextlib
import dataclasses
import functools
import json
import os
import subprocess
import sys
import tempfile
import unittest

import anyio.from_thread
import jsonschema
import mcp.client.session
import mcp_types
from mcp import Client, MCPError, StdioServerParameters

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
from todo_server import MODERN, SKIPPED, ToolError  # noqa: E402
from wire import HttpWire, StdioWire  # noqa: E402

CLIENTS = os.environ["TODO_CLIENTS"]
NODE = f"{CLIENTS}/node"
INSPECTOR = f"{CLIENTS}/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"


@dataclasses.dataclass
class Target:
    """Where a session's server is; `url` is None for stdio."""
    url: str | None
    command: str
    args: list
    env: dict


@functools.cache
def built(folder):
    """The program that is built from a folder; the test is skipped where its compiler is missing."""
    done = subprocess.run(["bash", f"{HERE}/../lib/built.sh", f"{HERE}/{folder}"], check=False,
                          stdout=subprocess.PIPE, text=True)
    if done.returncode == SKIPPED:
        raise unittest.SkipTest(f"nothing here builds {folder}")
    done.check_returncode()
    return done.stdout.strip()


class ProtocolError(Exception):
    """A JSON-RPC error instead of a tool's result."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Session:
    """What all have in common. A subclass connects and sends; results come as the wire has them:
    {"content": …, "structuredContent": …, "isError": …}. One that `hears` has `request` for whatever
    else there is, `subscribe` and `heard`: the URIs of resources that were updated."""
    hears = False

    def __init__(self, target, revision):
        self.target = target
        self.revision = revision
        self.tools = {}
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self.stack = stack
            agreed = self.connect()
            if agreed != self.revision:
                raise AssertionError(f"asked for {self.revision}, agreed on {agreed}")
            self.tools = {t["name"]: t for t in self.list_tools()}
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exception):
        self.stack.close()

    def answer(self, tool, **arguments):
        """(structured content, text) of a success, checked against the tool's output schema."""
        result = self.send_call(tool, arguments)
        texts = [c["text"] for c in result["content"]]
        structured = result.get("structuredContent")
        if self.revision == "2025-03-26":
            if structured is not None or "outputSchema" in self.tools.get(tool, {}):
                raise AssertionError("2025-03-26 has no structured content")
            structured = json.loads(texts[0])
        if result.get("isError"):
            raise ToolError(structured)
        schema = self.tools[tool].get("outputSchema")
        if schema:
            jsonschema.validate(structured, schema, cls=jsonschema.Draft202012Validator)
        return structured, "\n".join(texts)

    def call(self, tool, **arguments):
        return self.answer(tool, **arguments)[0]

    def read(self, uri):
        """The JSON of a resource's only content."""
        [content] = self.request("resources/read", uri=uri)["contents"]
        if (content["uri"], content["mimeType"]) != (uri, "application/json"):
            raise AssertionError(content)
        return json.loads(content["text"])

    def prompt(self, name, **arguments):
        """The text of its only message."""
        [message] = self.request("prompts/get", name=name, arguments=arguments)["messages"]
        return message["content"]["text"]

    def names(self, method, what, key):
        """What a listing has, by its name or URI."""
        return {entry[key] for entry in self.request(method)[what]}


class PythonSession(Session):
    """The official Python SDK."""
    modern_mode = MODERN
    hears = True

    def connect(self):
        is_modern = self.revision == MODERN
        if not is_modern:  # the client offers its newest; what it offers is a constant of its own
            before = mcp.client.session.LATEST_HANDSHAKE_VERSION
            self.stack.callback(setattr, mcp.client.session, "LATEST_HANDSHAKE_VERSION", before)
            mcp.client.session.LATEST_HANDSHAKE_VERSION = self.revision
        target = self.target
        server = target.url or StdioServerParameters(command=target.command, args=target.args,
                                                     env=target.env)
        self.updated = []
        self.portal = self.stack.enter_context(anyio.from_thread.start_blocking_portal())
        client = Client(server, mode=self.modern_mode if is_modern else "legacy",
                        read_timeout_seconds=60, message_handler=self.hear)
        self.client = self.stack.enter_context(self.portal.wrap_async_context_manager(client))
        return self.client.session.protocol_version

    def list_tools(self):
        listed = self.portal.call(self.client.list_tools)
        return listed.model_dump(by_alias=True, mode="json", exclude_none=True)["tools"]

    def send_call(self, tool, arguments):
        try:
            result = self.portal.call(self.client.call_tool, tool, arguments)
        except MCPError as e:
            raise ProtocolError(e.error.code, e.error.message) from e
        if not isinstance(result, mcp_types.CallToolResult):
            raise AssertionError(f"no result of a call: {result!r}")
        return result.model_dump(by_alias=True, mode="json", exclude_unset=True)


    def request(self, method, **params):
        ask = {"resources/list": self.client.list_resources, "prompts/get": self.client.get_prompt,
               "resources/read": self.client.read_resource,
               "prompts/list": self.client.list_prompts}[method]
        result = self.portal.call(ask, *params.values())
        return result.model_dump(by_alias=True, mode="json", exclude_none=True)

    async def hear(self, message):
        if isinstance(message, mcp_types.ResourceUpdatedNotification):
            self.updated.append(message.params.uri)

    def subscribe(self, uri):
        if self.revision == MODERN:
            self.stack.enter_context(self.portal.wrap_async_context_manager(
                self.client.listen(resource_subscriptions=[uri])))
        else:
            self.portal.call(self.client.session.subscribe_resource, uri)

    def heard(self):
        return list(self.updated)


class PythonAutoSession(PythonSession):
    """The same as it is by default: it asks the server which revisions there are."""
    modern_mode = "auto"


class BridgeSession(Session):
    """A client in another language, through a bridge: a program that takes commands on stdin. A
    subclass has `bridge(options)`, its words."""
    hears = True

    def connect(self):
        target = self.target
        options = {"revision": self.revision}
        options |= {"url": target.url} if target.url else {
            "command": target.command, "args": target.args, "env": target.env}
        self.process = self.stack.enter_context(subprocess.Popen(
            self.bridge(options), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        self.stack.callback(self.process.stdin.close)
        return self.read_line()["revision"]

    def read_line(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the bridge ended with {self.process.wait(30)}")
        return json.loads(line)

    def request(self, method, **params):
        print(json.dumps({"method": method, "params": params}), file=self.process.stdin, flush=True)
        answer = self.read_line()
        if "error" in answer:
            raise ProtocolError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def list_tools(self):
        return self.request("tools/list")["tools"]

    def send_call(self, tool, arguments):
        return self.request("tools/call", name=tool, arguments=arguments)

    def subscribe(self, uri):
        self.request("resources/subscribe", uri=uri)

    def heard(self):
        return self.request("heard")["uris"]


class TypeScriptSession(BridgeSession):
    """The official TypeScript SDK."""
    line = "v2"
    modern_mode = {"pin": MODERN}

    def bridge(self, options):
        options |= {"mode": self.modern_mode}
        return [NODE, f"{HERE}/bridge.mjs", self.line, json.dumps(options)]


class TypeScriptAutoSession(TypeScriptSession):
    """The same, asking the server first."""
    modern_mode = "auto"


class TypeScriptV1Session(TypeScriptSession):
    """The first line of that SDK, which most clients in use are built on."""
    line = "v1"


class BuiltSession(BridgeSession):
    """A bridge that is built first, from the folder of its language."""

    def bridge(self, options):
        return [built(self.folder), json.dumps(options)]


class GoSession(BuiltSession):
    """The official Go SDK."""
    folder = "go"


class RustSession(BuiltSession):
    """The official Rust SDK."""
    folder = "rust"


class InspectorSession(Session):
    """The Inspector's command line: a process, and over stdio a server, for each request."""

    def connect(self):
        self.home = self.stack.enter_context(tempfile.TemporaryDirectory())
        return self.revision  # not told: see send_call

    def send(self, *words):
        target = self.target
        era = "modern" if self.revision == MODERN else "legacy"
        where = ["--server-url", target.url, "--transport", "http"] if target.url else [
            target.command, *target.args, *(w for k, v in target.env.items()
                                            for w in ("-e", f"{k}={v}"))]
        done = subprocess.run(
            [NODE, INSPECTOR, "--cli", *where, "--protocol-era", era, "--format", "json", "--quiet",
             *words], env={**os.environ, "HOME": self.home}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False)
        if not done.stdout.strip():
            raise ProtocolError(None, done.stderr)
        return json.loads(done.stdout)["result"]

    def list_tools(self):
        return self.send("--method", "tools/list")["tools"]

    def send_call(self, tool, arguments):
        result = self.send("--method", "tools/call", "--tool-name", tool, "--tool-args-json",
                           json.dumps(arguments))
        is_modern = "io.modelcontextprotocol/serverInfo" in result.get("_meta", {})
        if is_modern != (self.revision == MODERN):
            raise AssertionError(f"not an answer of revision {self.revision}: {result}")
        return result


class WireSession(Session):
    """No client at all: the messages as the specification has them."""

    def connect(self):
        wire = HttpWire(self.target.url) if self.target.url else StdioWire(self.target)
        self.wire = self.stack.enter_context(contextlib.closing(wire))
        return self.wire.start(self.revision)

    def request(self, method, **params):
        answer = self.wire.request(method, params)
        if "error" in answer:
            raise ProtocolError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    def list_tools(self):
        return self.request("tools/list")["tools"]

    def send_call(self, tool, arguments):
        return self.request("tools/call", name=tool, arguments=arguments)
