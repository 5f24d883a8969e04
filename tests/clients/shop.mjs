// A site on another origin than the gateway's with the chat in it, in headless Chromium, and the visitors' browsers
// that look at it. What is checked there is left to the programs beside this one.

import assert from "node:assert/strict";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const { OPENCLAWMU_PAGE: chat, OPENCLAWMU_SHOTS: shots } = process.env;
const gateway = new URL(chat).origin;
export const SHOP = "http://shop.example"; // The one origin that the account allows.
const PATIENCE = 60_000; // For anything, on a machine that does other things too.

export const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  // Root may not use the sandbox; a site that is filled in here has no address to compare with the gateway's.
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-features=LocalNetworkAccessChecks"],
});

export const words = "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod tempor.";
/** A site with the chat in it, and a policy as strict as sites may have. */
function site(attributes) {
  const body = `<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Shop</title>
    <h1>The shop</h1>${`<p>${words} ${words} ${words}</p>`.repeat(8)}
    <script src="${chat}embed.js" data-title="Ask the shop" data-greeting="Hello! Ask about an order, a size or anything else." ${attributes} async></script>`;
  const policy = `default-src 'none'; script-src ${gateway}; frame-src ${gateway}`;
  return { contentType: "text/html", headers: { "content-security-policy": policy }, body };
}

/** What is red in any console. */
export const wrong = [];
/** A visitor's browser: what is kept in it is the visitor's alone. */
export async function visitor(options = {}, attributes = "") {
  const context = await browser.newContext({ viewport: { width: 1100, height: 760 }, colorScheme: "light", ...options });
  context.setDefaultTimeout(PATIENCE);
  await context.route(`${SHOP}/**`, (route) =>
    new URL(route.request().url()).pathname === "/" ? route.fulfill(site(attributes)) : route.fulfill({ status: 204 }),
  );
  return tab(context);
}

/** One more page of a browser. */
async function tab(context) {
  const page = await context.newPage();
  page.on("console", (it) => it.type() === "error" && wrong.push(`console: ${it.text()}`));
  page.on("pageerror", (it) => wrong.push(`page: ${it.message}`));
  const shop = { context, page, chat: page.frameLocator("iframe"), another: () => tab(context) };
  shop.button = page.getByRole("button", { name: "Ask the shop" });
  shop.text = shop.chat.getByRole("textbox", { name: "Message" });
  shop.shoot = (name) => page.screenshot({ path: join(shots, `webchat-${name}.png`) });
  shop.open = async () => {
    await page.goto(`${SHOP}/`);
    await shop.button.click();
    await shop.online();
  };
  shop.online = () => shop.chat.locator("#state[data-is=ready]").waitFor();
  shop.say = async (text) => {
    await shop.text.fill(text);
    await shop.text.press("Enter");
  };
  shop.mine = shop.chat.locator(".message.mine");
  shop.theirs = shop.chat.locator(".message.theirs");
  shop.count = async (locator, count) => {
    const end = Date.now() + PATIENCE;
    while ((await locator.count()) !== count) {
      assert(Date.now() < end, `${await locator.count()} and not ${count}: ${await locator.allInnerTexts()}`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  };
  return shop;
}
