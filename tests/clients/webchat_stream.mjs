// An answer in the chat page, in headless Chromium, while the model still writes it: the model waits after each
// piece until it is told to go on. Prints one JSON line and ends with 0 when every check held, else with 1.

import assert from "node:assert/strict";
import { report } from "./lib.mjs";
import { SHOP, browser, visitor, wrong } from "./shop.mjs";

const { OPENCLAWMU_SAY: text, OPENCLAWMU_GO_ON: more } = process.env;

const shop = await visitor();
let tab;

/** Has the model write its next piece. */
async function goOn() {
  assert((await fetch(more, { method: "POST" })).ok);
}

/** Waits until a page shows just this answer below what was said. */
async function shows(page, answer) {
  const bubble = page.theirs.locator(".bubble");
  await bubble.getByText(answer, { exact: true }).waitFor();
  assert.deepEqual(await bubble.allInnerTexts(), [answer]);
  await page.count(page.mine, 1);
  await page.mine.getByText("Sent", { exact: true }).waitFor();
}

await report({
  async showsTheFirstWordsWhileTheModelWrites() {
    await shop.open();
    await shop.say(text);
    await shows(shop, "Once");
    await shop.shoot("first-words");
  },

  async growsInItsPlace() {
    await goOn();
    await shows(shop, "Once upon");
  },

  async standsWhereItIsAfterAReload() {
    await shop.page.reload();
    await shop.online();
    await shows(shop, "Once upon");
    await shop.shoot("reloaded-in-the-middle");
    await goOn();
    await shows(shop, "Once upon a time");
  },

  async growsInEveryTab() {
    tab = await shop.another();
    await tab.open();
    await shows(tab, "Once upon a time");
    await goOn();
    await shows(tab, "Once upon a time there was");
    await shows(shop, "Once upon a time there was");
  },

  async growsWhileNobodyLooks() {
    await tab.page.close();
    await shop.page.goto("about:blank");
    await goOn();
    await shop.page.goto(`${SHOP}/`); // Where the chat is open, as it was.
    await shop.online();
    await shows(shop, "Once upon a time there was a shop");
  },

  async isOneMessageInTheEnd() {
    await goOn();
    const whole = "Once upon a time there was a shop. The end.";
    await shows(shop, whole);
    assert.equal(await shop.theirs.locator("strong").innerText(), "The end.");
    await shop.page.reload();
    await shop.online();
    await shows(shop, whole);
    await shop.chat.locator("#typing").waitFor({ state: "hidden" });
    await shop.shoot("whole");
  },

  async nothingIsRed() {
    assert.deepEqual(wrong, []);
  },

  async closes() {
    await browser.close();
  },
});
