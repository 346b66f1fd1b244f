// Drives an official TypeScript client by commands on stdin, one JSON object a line, each answered
// by one line on stdout. argv[2]: "v2" (@modelcontextprotocol/client) or "v1"
// (@modelcontextprotocol/sdk); argv[3]: {revision, mode} with {url} or
// {command, args, env}; the mode is how "v2" finds the stateless revision.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [line, optionsText] = process.argv.slice(2);
const options = JSON.parse(optionsText);
const installed = createRequire(join(process.env.TODO_CLIENTS, "package.json"));
const load = (name) => import(pathToFileURL(installed.resolve(name)).href);
const info = { name: `bridge-${line}`, version: "1" };
const isModern = options.revision === "2026-07-28";
const heard = [];
const hear = (notification) => heard.push(notification.params.uri);

async function connectV2() {
  const { Client, StreamableHTTPClientTransport } = await load("@modelcontextprotocol/client");
  const { StdioClientTransport } = await load("@modelcontextprotocol/client/stdio");
  const client = new Client(info, isModern
    ? { versionNegotiation: { mode: options.mode } }
    : { supportedProtocolVersions: [options.revision] });
  client.setNotificationHandler("notifications/resources/updated", hear);
  await client.connect(options.url
    ? new StreamableHTTPClientTransport(new URL(options.url))
    : new StdioClientTransport({ ...options, stderr: "inherit" }));
  return [client, client.getNegotiatedProtocolVersion()];
}

// The first line of the SDK has one revision to offer, its newest, and does not tell which was
// agreed on; so the transport is asked to.
async function connectV1() {
  const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
  const { StdioClientTransport } = await load("@modelcontextprotocol/sdk/client/stdio.js");
  const { StreamableHTTPClientTransport } =
    await load("@modelcontextprotocol/sdk/client/streamableHttp.js");
  const transport = options.url
    ? new StreamableHTTPClientTransport(new URL(options.url))
    : new StdioClientTransport({ ...options, stderr: "inherit" });
  let revision;
  const setRevision = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (agreed) => {
    revision = agreed;
    setRevision?.(agreed);
  };
  const { ResourceUpdatedNotificationSchema } = await load("@modelcontextprotocol/sdk/types.js");
  const client = new Client(info);
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, hear);
  await client.connect(transport);
  return [client, revision];
}

const commands = {
  "tools/list": (client) => client.listTools(),
  "tools/call": (client, params) => client.callTool(params),
  "resources/list": (client) => client.listResources(),
  "resources/read": (client, params) => client.readResource(params),
  "prompts/list": (client) => client.listPrompts(),
  "prompts/get": (client, params) => client.getPrompt(params),
  "resources/subscribe": async (client, params) => {
    await (isModern ? client.listen({ resourceSubscriptions: [params.uri] })
      : client.subscribeResource(params));
    return {};
  },
  heard: () => ({ uris: heard }),
};

function answer(object) {
  process.stdout.write(`${JSON.stringify(object)}\n`);
}

const [client, revision] = await (line === "v2" ? connectV2() : connectV1());
answer({ revision, server: client.getServerVersion(), instructions: client.getInstructions() });
for await (const text of createInterface({ input: process.stdin })) {
  const command = JSON.parse(text);
  try {
    answer({ result: await commands[command.method](client, command.params) });
  } catch (e) {
    answer({ error: { code: e.code ?? null, message: e.message } });
  }
}
await client.close();
