// Uses the Inspector's page as a person would: connect, list, call, subscribe, see an update.
//     inspector_page.mjs URL REVISION CHROMIUM SCREENSHOT TITLE OTHER_TITLE
// TITLE is the task that it adds. When it has subscribed it says so, by a line on stdout: from then
// on another client may add OTHER_TITLE. Both are due today.
import { createRequire } from "node:module";
import { join } from "node:path";

const [url, revision, chromiumPath, screenshot, title, otherTitle] = process.argv.slice(2);
const installed = createRequire(join(process.env.TODO_CLIENTS, "package.json"));
const { chromium } = installed("playwright-core");

// Nothing of the browser's own is to go out.
const quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({
  executablePath: chromiumPath,
  args: process.getuid() === 0 ? ["--no-sandbox", ...quiet] : quiet,
});
const page = await browser.newPage({ viewport: { width: 1360, height: 720 } });
page.setDefaultTimeout(60_000);
const main = page.getByRole("main");
const button = (name) => main.getByRole("button", { name, exact: typeof name === "string" });
const field = (name) => main.getByRole("textbox", { name, exact: true });
// The page draws its own switches and tabs over the inputs, which a click would meet first.
const choose = (input) => input.dispatchEvent("click");
const tab = (name) => choose(page.getByRole("radio", { name, exact: true }));

async function connect() {
  await page.goto(url);
  await choose(main.getByRole("switch", { name: /^Connect or disconnect/ }));
  await main.getByText("Connected", { exact: true }).waitFor();
  await main.getByText(`MCP ${revision}`, { exact: true }).waitFor();
}

async function listAndCall() {
  await tab("Tools");
  await main.getByText("Tools (18)").waitFor();
  await button(/^Add task add_task/).click();
  await field("title").fill(title);
  await field("due_date").fill(new Date().toISOString());
  await button("Execute Tool").click();
  await main.getByText("Structured Output").waitFor();
  await main.getByText(title).first().waitFor();
}

async function seeAnUpdate() {
  await tab("Resources");
  await button("Due today").click();
  await main.getByText(title).first().waitFor();
  await button("Subscribe").click();
  await button("Unsubscribe").first().waitFor();
  await button(/^Subscriptions \(1\)/).waitFor();
  console.log("subscribed");
  await page.getByText("notifications/resources/updated").first().waitFor();
  await button("Refresh").click();
  await main.getByText(otherTitle).first().waitFor();
}

try {
  await connect();
  await listAndCall();
  await seeAnUpdate();
} finally {
  await page.screenshot({ path: screenshot }); // of a failure, too
  await browser.close();
}
