// The chat page in headless Chromium, as visitors of a site on another origin have it: embedded, chatting,
// reloading, with files, on a phone. Prints one JSON line and ends with 0 when every check held, else with 1.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { report } from "./lib.mjs";
import { SHOP, browser, chat, shots, visitor, words, wrong } from "./shop.mjs";

const { OPENCLAWMU_SIGNED: signed } = process.env;

/** A picture, drawn by the browser: large, and hard to make small. */
const picture = (page, side) =>
  page.evaluate(async (side) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side * 0.75 });
    const context = canvas.getContext("2d");
    const sky = context.createLinearGradient(0, 0, side, side);
    ["#123c69", "#e06d53", "#f5c26b"].forEach((it, n) => sky.addColorStop(n / 2, it));
    context.fillStyle = sky;
    context.fillRect(0, 0, side, side);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let n = 0; n < pixels.data.length; n += 1) if (n % 4 !== 3) pixels.data[n] += Math.random() * 60 - 30;
    context.putImageData(pixels, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    return Array.from(new Uint8Array(await blob.arrayBuffer()));
  }, side);

const shop = await visitor();
let other;

await report({
  async embeds() {
    await shop.page.goto(`${SHOP}/`);
    await shop.button.waitFor();
    await shop.shoot("closed");
    assert.equal(await shop.page.locator("iframe").count(), 0, "nothing is fetched before it is opened");
    await shop.button.focus();
    await shop.page.keyboard.press("Enter");
    await shop.online();
    assert.equal(await shop.chat.locator("h1").innerText(), "Ask the shop");
    await shop.chat.getByText("Hello! Ask about an order").waitFor();
    assert(await shop.text.evaluate((it) => it === document.activeElement), "one types at once");
    await shop.shoot("empty");
  },

  async chats() {
    await shop.say("Where is my order?");
    await shop.count(shop.mine, 1);
    await shop.count(shop.theirs, 1);
    await shop.mine.getByText("Sent", { exact: true }).waitFor();
    await shop.theirs.getByText("Where is my order?").waitFor();
  },

  async showsMarkdownAndRunsNothing() {
    const text = [
      "## Your order",
      "It is **on its way**, with *care*, and `code`:",
      "",
      "1. packed",
      "2. sent",
      "   - by train",
      "",
      "| day | place |",
      "| --- | --- |",
      "| Monday | Oslo |",
      "",
      "> quoted",
      "",
      "```js",
      "if (a < b) call();",
      "```",
      "See https://shop.example/orders/17, or [the terms](https://shop.example/terms).",
      "<img src=x onerror=\"window.hit = 1\"><script>window.hit = 1</script>",
      "[bad](javascript:window.hit=1) [also](data:text/html,x)",
    ].join("\n");
    await shop.text.fill(text);
    await shop.text.press("Enter");
    await shop.count(shop.theirs, 2);
    const bubble = shop.theirs.nth(1).locator(".bubble");
    assert.deepEqual(await bubble.locator("strong").allInnerTexts(), ["Your order", "on its way"]);
    for (const [selector, want] of Object.entries({
      em: "care",
      "p code": "code",
      "ol > li:first-child": "packed",
      blockquote: "quoted",
      "pre code": "if (a < b) call();",
    })) {
      assert.equal(await bubble.locator(selector).first().innerText(), want, selector);
    }
    const links = await bubble.locator("a").evaluateAll((all) => all.map((it) => [it.href, it.rel, it.target]));
    const rel = "noopener noreferrer nofollow";
    assert.deepEqual(links, [
      ["https://shop.example/orders/17", rel, "_blank"],
      ["https://shop.example/terms", rel, "_blank"],
    ]);
    await bubble.getByText("<img src=x onerror=").waitFor();
    assert.equal(await bubble.locator("img, script").count(), 0);
    for (const frame of shop.page.frames()) assert.equal(await frame.evaluate(() => window.hit), undefined);
    await shop.shoot("markdown");
  },

  async reloads() {
    const before = await shop.chat.locator(".message .bubble").allInnerTexts();
    assert.equal(before.length, 4);
    await shop.page.reload();
    await shop.online();
    await shop.count(shop.chat.locator(".message"), 4);
    assert.deepEqual(await shop.chat.locator(".message .bubble").allInnerTexts(), before);
    await shop.say("And after a reload?");
    await shop.count(shop.theirs, 3);
    await shop.shoot("reloaded");
  },

  async anotherVisitorSeesNothingOfIt() {
    other = await visitor();
    await other.open();
    assert.equal(await other.chat.locator(".message").count(), 0);
    await other.chat.getByText("Hello! Ask about an order").waitFor();
    await other.context.close();
  },

  async sendsFiles() {
    const png = Buffer.from(await picture(shop.page, 1200));
    const notes = Buffer.from("order 17\norder 18\n");
    assert(png.length > 1_000_000, `${png.length} bytes`);
    const pick = shop.chat.locator("#pick");
    await pick.setInputFiles([
      { name: "holiday.png", mimeType: "image/png", buffer: png },
      { name: "orders.txt", mimeType: "text/plain", buffer: notes },
    ]);
    await shop.count(shop.chat.locator("#files .file"), 2);
    await shop.text.fill("What do you say to these?");
    await shop.shoot("chosen");
    await shop.text.press("Enter");
    await shop.count(shop.theirs, 4);
    const said = shop.mine.nth(3);
    await said.getByText("orders.txt").waitFor();
    const size = () => said.locator("img").evaluate((it) => it.decode().then(() => [it.naturalWidth, it.naturalHeight]));
    assert((await size())[0] > 160, `as large as it was sent, after ${png.length} bytes`);
    await shop.theirs.nth(3).getByText("orders.txt").waitFor();
    await shop.shoot("files");
    await shop.page.reload();
    await shop.online();
    await shop.count(shop.mine, 4);
    assert.deepEqual(await size(), [160, 120], "a small one is kept");
    await shop.chat.getByText("What do you say to these?").first().waitFor();
    await shop.shoot("files-reloaded");
  },

  async showsPicturesOfAnswersAndOffersTheRest() {
    other = await visitor();
    await other.open();
    await other.say("MEDIA:dot.png");
    const picture = other.theirs.locator("a[download='dot.png'] img[alt='dot.png']");
    await picture.waitFor();
    assert.deepEqual(await picture.evaluate((it) => it.decode().then(() => [it.naturalWidth, it.naturalHeight])), [1, 1]);
    await other.say("see\nMEDIA:page.html\nMEDIA:drawing.svg");
    await other.count(other.theirs, 4);
    assert.equal(await other.theirs.nth(1).locator(".bubble").innerText(), "see", "the text stands before them");
    await other.shoot("answered-with-files");
    const before = other.page.url();
    for (const name of ["page.html", "drawing.svg"]) {
      const link = other.theirs.locator(`a.file[download='${name}']`);
      assert.equal(await link.locator("img").count(), 0, name);
      const [download] = await Promise.all([other.page.waitForEvent("download"), link.click()]);
      assert.equal(download.suggestedFilename(), name);
      assert((await readFile(await download.path(), "utf8")).includes("hit = 1"), name);
    }
    // Opened as it is, it is bytes: no page and no drawing.
    const address = await other.theirs.locator("a.file").first().getAttribute("href");
    assert(address.startsWith("blob:"), address);
    for (const frame of other.page.frames()) assert.equal(await frame.evaluate(() => window.hit), undefined);
    assert.deepEqual([other.page.url(), other.context.pages().length], [before, 1], "nothing was opened");
    await other.page.reload();
    await other.online();
    await other.count(other.theirs, 4);
    await other.theirs.locator("a[download='dot.png'] img").waitFor();
    await other.context.close();
  },

  async saysWhichFilesItDoesNotTake() {
    const pick = shop.chat.locator("#pick");
    const notice = shop.chat.getByRole("alert");
    await pick.setInputFiles({ name: "large.txt", mimeType: "text/plain", buffer: Buffer.alloc(800_000, 65) });
    await notice.getByText("large.txt is too large: the files of a message may have 720 KB together.").waitFor();
    await pick.setInputFiles({ name: "tool.exe", mimeType: "application/x-msdownload", buffer: Buffer.from("MZ") });
    await notice.getByText("tool.exe: only pictures (PNG, JPEG, WebP, GIF) and text can be sent.").waitFor();
    const small = (name) => ({ name, mimeType: "text/plain", buffer: Buffer.from(name) });
    await pick.setInputFiles(["a", "b", "c", "d", "e"].map((it) => small(`${it}.txt`)));
    await notice.getByText("At most 4 files go with one message.").waitFor();
    await shop.shoot("refused");
    for (let left = 4; left; left -= 1) await shop.chat.getByRole("button", { name: /^Remove/ }).first().click();
    assert.equal(await shop.chat.locator("#files .file").count(), 0);
  },

  async streams() {
    other = await visitor();
    let line;
    await other.context.routeWebSocket(/\/socket$/, (ws) => {
      const server = ws.connectToServer();
      ws.onMessage((message) => server.send(message));
      server.onMessage((message) => ws.send(message));
      line = ws;
    });
    await other.open();
    const tell = (frame) => line.send(JSON.stringify(frame));
    const item = (rev, text, more) => tell({ type: "item", seq: 1, rev, it: { type: "message", key: `k-${rev}`, text, at: Date.now(), ...more } });
    tell({ type: "typing", ms: 5000 });
    await other.chat.locator("#typing").waitFor();
    await other.shoot("typing");
    item(1, "Once");
    await other.count(other.theirs, 1);
    await other.chat.locator("#typing").waitFor({ state: "hidden" });
    let text = "Once";
    for (let rev = 2; rev < 39; rev += 1) {
      text += ` ${words.split(" ")[rev % 13]}`;
      item(rev, text, { over: `k-${rev - 1}` });
    }
    item(39, `## A head\n\n| day | place |\n| --- | --- |\n| Monday | Oslo |\n\n1. sent\n   - by train\n\n${text}`, { over: "k-38" });
    await other.theirs.locator("h2").getByText("A head").waitFor();
    assert.equal(await other.theirs.locator("ol ul li").innerText(), "by train");
    assert.deepEqual(await other.theirs.locator("td").allInnerTexts(), ["Monday", "Oslo"]);
    item(40, `${text}\n\n\`\`\`\nan unfinished block`, { over: "k-39" });
    await other.theirs.locator("pre").getByText("an unfinished block").waitFor();
    item(38, "older than what is shown", { over: "k-1" });
    item(41, `${text} **The end.**`, { over: "k-40" });
    await other.theirs.locator("strong").getByText("The end.").waitFor();
    assert.equal(await other.theirs.count(), 1, "in its place");
    assert(!(await other.theirs.innerText()).includes("older"));
    await other.shoot("streamed");

    // The line breaks: what is said meanwhile waits, and goes when it is there again, once.
    const first = line;
    await line.close({ code: 1013 });
    await other.say("said while it was away");
    await other.mine.waitFor();
    await other.online();
    await other.mine.getByText("Sent", { exact: true }).waitFor();
    await other.theirs.getByText("said while it was away").waitFor();
    assert.notEqual(line, first);
    await other.count(other.mine, 1);
    await other.context.close();
  },

  async worksOnAPhoneInTheDark() {
    const size = { width: 390, height: 844 };
    other = await visitor({ viewport: size, colorScheme: "dark", hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
    await other.open();
    await other.text.fill("Hello from a phone, with a longer line that has to be broken somewhere.");
    await other.chat.getByRole("button", { name: "Send" }).click();
    await other.count(other.theirs, 1);
    const frame = await other.page.locator("iframe").boundingBox();
    assert.deepEqual(frame, { x: 0, y: 0, ...size }, "all of the screen");
    const wide = await other.chat.locator("html").evaluate((it) => it.scrollWidth - it.clientWidth);
    assert.equal(wide, 0, "nothing has to be moved sideways");
    await other.shoot("phone");
    await other.chat.getByRole("button", { name: "Close the chat" }).click();
    await other.page.locator("iframe").waitFor({ state: "hidden" });
    await other.context.close();
  },

  async knowsWhomTheSiteSignsFor() {
    for (const nth of [1, 2]) {
      // Another browser, and the same person.
      other = await visitor({}, `data-signed="${signed}"`);
      await other.open();
      if (nth === 1) await other.say("I am signed in");
      await other.count(other.theirs, 1);
      await other.theirs.getByText("I am signed in").waitFor();
      await other.context.close();
    }
  },

  async standsInNoOtherSite() {
    const context = await browser.newContext();
    await context.route("http://evil.example/**", (route) =>
      route.fulfill({ contentType: "text/html", body: `<iframe src="${chat}"></iframe>` }),
    );
    const page = await context.newPage();
    const refused = new Promise((resolve) => page.on("console", (it) => it.text().includes("frame-ancestors") && resolve()));
    await page.goto("http://evil.example/");
    await refused;
    assert.equal(await page.frameLocator("iframe").locator("#composer").count(), 0);
    await context.close();
  },

  async standsAlone() {
    const context = await browser.newContext({ viewport: { width: 900, height: 700 } });
    const page = await context.newPage();
    page.on("console", (it) => it.type() === "error" && wrong.push(`alone: ${it.text()}`));
    await page.goto(`${chat}#title=The+shop`);
    await page.locator("#state[data-is=ready]").waitFor();
    await page.getByRole("textbox", { name: "Message" }).fill("A page of its own");
    await page.keyboard.press("Enter");
    await page.locator(".theirs").getByText("A page of its own").waitFor();
    assert.equal(await page.title(), "The shop");
    await page.screenshot({ path: join(shots, "webchat-alone.png") });
    await context.close();
  },

  async nothingIsRed() {
    assert.deepEqual(wrong, []);
  },

  async closes() {
    await browser.close();
  },
});
