// Opens the official browser UI in headless Chromium as a person would, and talks to an agent.
// Prints one JSON line and ends with 0 when every check held, else with 1.

import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { connect, report, token } from "./lib.mjs";

const { OPENCLAWMU_PAGE: address, OPENCLAWMU_SHOTS: shots } = process.env; // http://HOST:PORT/t/TENANT/
const PATIENCE = 40_000;
const SAID = "one two three four five six seven eight nine ten";
const ANSWER = SAID.toUpperCase(); // a word each 150 ms

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-dev-shm-usage"], // root may not use it
});
const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
page.setDefaultTimeout(PATIENCE);

/** Everything that a person would see in red in the browser's console, and what made it so. */
const wrong = [];
page.on("console", (it) => it.type() === "error" && wrong.push(`console: ${it.text()}`));
page.on("pageerror", (it) => wrong.push(`page: ${it.message}`));
page.on("requestfailed", (it) => wrong.push(`request: ${it.url()} ${it.failure()?.errorText}`));
page.on("response", (it) => it.status() >= 400 && wrong.push(`${it.status()} ${it.url()}`));
page.on("websocket", (socket) => {
  const asked = new Map();
  socket.on("framesent", ({ payload }) => {
    const frame = JSON.parse(payload);
    asked.set(frame.id, frame.method);
  });
  socket.on("framereceived", ({ payload }) => {
    const frame = JSON.parse(payload);
    if (frame.type !== "res" || frame.ok) return;
    wrong.push(`${asked.get(frame.id)}: ${frame.error.message}`);
  });
});

const shows = (text) => page.getByText(text, { exact: true }).first().waitFor();
const shoot = (name) => page.screenshot({ path: join(shots, `control-ui-${name}.png`) });
/** How often something is said in the conversation; its title may repeat it. */
const count = (text) => page.locator(".chat-group-messages").getByText(text, { exact: true }).count();

const { request } = await connect();
await request("agents.create", { name: "Gardener", workspace: "gardener" });
const { key } = await request("sessions.create", { agentId: "main", label: "Groceries" });
assert(key);
const workshop = await request("sessions.create", { agentId: "main", label: "Workshop" });
await request("sessions.patch", { key: workshop.key, model: "test/script" });

await report({
  async loadsAndListsSessions() {
    await page.goto(`${address}#token=${token}`);
    await page.getByPlaceholder("Message main").waitFor();
    await shows("Groceries");
    assert(!page.url().includes(token), "the token stays out of the address");
    await shoot("loaded");
  },

  async streamsAnAnswer() {
    await page.getByPlaceholder("Message main").fill(SAID);
    await page.keyboard.press("Enter");
    const partly = ([first, all]) => {
      const text = document.body.innerText;
      return text.includes(first) && !text.includes(all);
    };
    await page.waitForFunction(partly, ["ONE TWO", ANSWER], { polling: 20, timeout: PATIENCE });
    await shoot("streaming");
    await shows(ANSWER);
    assert.deepEqual([await count(SAID), await count(ANSWER)], [1, 1], "each is shown once");
    await shoot("answered");
  },

  async showsItAfterReload() {
    await page.reload();
    await shows(ANSWER);
    await shoot("reloaded");
    assert.deepEqual([await count(SAID), await count(ANSWER)], [1, 1], "each is shown once");
  },

  async showsACallOfATool() {
    const steps = [{ call: [["write", { path: "card.txt", content: "made by a call" }]] }, { say: "the card is made" }];
    await page.getByText("Workshop", { exact: true }).first().click();
    // The page keeps the session before it beside this one.
    await page.getByPlaceholder("Message main").last().fill(`script ${JSON.stringify(steps)}`);
    await page.keyboard.press("Enter");
    await page.getByText("the card is made", { exact: true }).filter({ visible: true }).first().waitFor();
    await page.getByText("Raw details").filter({ visible: true }).first().click();
    await page.locator(".chat-tool-row, .chat-tool-card, .chat-tool-msg-summary").filter({ visible: true }).first().waitFor();
    await shoot("tool-call");
  },

  async listsAgents() {
    await page.goto(`${address}agents`);
    await shows("Gardener");
    await shoot("agents");
  },

  async showsTheOtherPages() {
    for (const [path, text] of [
      ["automations", "Automations"],
      ["systems", "Systems"],
      ["dashboards", "Dashboards"],
      ["usage", "Usage"],
      ["settings/channels", "Channels"],
      ["settings/devices", "Devices"],
      ["settings/skills", "Skills"],
      ["logs", "Logs"],
    ]) {
      await page.goto(`${address}${path}`);
      await page.getByText(text).first().waitFor();
      await page.waitForLoadState("networkidle");
    }
    await shoot("logs");
  },

  async nothingIsRed() {
    assert.deepEqual(wrong, []);
  },

  async closes() {
    await browser.close();
  },
});
