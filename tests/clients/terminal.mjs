// A person's terminal in headless Chromium: types, resizes, runs full-screen programs, reloads. Prints one
// JSON line and ends with 0 when every check held, else with 1.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { report, token } from "./lib.mjs";

const { OPENCLAWMU_PAGE: address, OPENCLAWMU_SHOTS: shots } = process.env; // http://HOST:PORT/t/TENANT/
const PATIENCE = 30_000;
const FILES = {
  "": ["terminal.html", "text/html"],
  "xterm.mjs": ["node_modules/@xterm/xterm/lib/xterm.mjs", "text/javascript"],
  "xterm.css": ["node_modules/@xterm/xterm/css/xterm.css", "text/css"],
};

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  // Root may not use the sandbox; a page that is filled in here has no address to compare with the gateway's.
  args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-features=LocalNetworkAccessChecks"],
});
const page = await browser.newPage({ viewport: { width: 1000, height: 640 } });
page.setDefaultTimeout(PATIENCE);
const wrong = [];
page.on("console", (it) => it.type() === "error" && wrong.push(`console: ${it.text()}`));
page.on("pageerror", (it) => wrong.push(`page: ${it.message}`));

// The page has the gateway's own origin, as a page that the operator serves there would.
const place = `${address}terminal-page/`;
await page.route(`${place}**`, async (route) => {
  const [path, contentType] = FILES[new URL(route.request().url()).pathname.split("/").at(-1)] ?? [];
  if (!path) return route.fulfill({ status: 404 });
  await route.fulfill({ contentType, body: await readFile(path) });
});

/** What the terminal holds, scrollback included, as lines. */
const lines = () =>
  page.evaluate(() => {
    const { active } = window.terminal.buffer;
    return Array.from({ length: active.length }, (_, at) => active.getLine(at).translateToString(true));
  });
const kind = () => page.evaluate(() => window.terminal.buffer.active.type);
/** Waits until `wanted` holds of the lines. */
async function until(wanted) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const now = await lines();
    if (wanted(now)) return now;
    assert(Date.now() < end, `in vain: ${wanted}: ${now.join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}
const shows = (text) => until((all) => all.some((line) => line.includes(text)));
/** Waits until the terminal shows the main or the alternate screen. */
async function on(screen) {
  const end = Date.now() + PATIENCE;
  while ((await kind()) !== screen) assert(Date.now() < end, `not on the ${screen} screen`);
}
const type = (text) => page.keyboard.type(text);
const enter = (text) => type(`${text}\n`);
const shoot = (name) => page.screenshot({ path: join(shots, `terminal-${name}.png`) });
const ready = () => page.locator("body[data-ready]").waitFor();

await report({
  async opens() {
    await page.goto(`${place}#token=${token}`);
    await ready();
    await enter("echo $((6 * 7))-is-it");
    await shows("42-is-it");
    await shoot("typed");
  },

  async showsWhatIsNotAscii() {
    await enter("printf 'gr\\303\\274n \\342\\234\\223 \\033[31mred\\033[0m\\n'");
    await shows("grün ✓ red");
  },

  async resizes() {
    await page.evaluate(() => window.terminal.resize(101, 33));
    await enter("stty size");
    await shows("33 101");
  },

  async addressesTheCursor() {
    await enter("printf '\\033[?1049h\\033[2J\\033[10;20Hpla''ced'; read -r; printf '\\033[?1049l'");
    await on("alternate");
    await until((all) => all[9]?.indexOf("placed") === 19);
    await enter("");
    await on("normal");
  },

  async runsFullScreenPrograms() {
    await enter("command -v vi less; echo loo''ked");
    const there = await shows("looked");
    const has = (name) => there.some((line) => line.endsWith(`/${name}`));
    assert(has("vi") || has("less"), "the system has no full-screen program");
    if (has("vi")) {
      await enter("vi made-by-hand");
      await on("alternate");
      await type("ifrom the editor");
      await shows("from the editor");
      await shoot("editor");
      await page.keyboard.press("Escape");
      await enter(":wq");
      await on("normal");
      await enter("cat made-by-hand; echo clo''sed");
      await shows("closed");
      await shows("from the editor");
    }
    if (has("less")) {
      await enter("seq 1 500 > many; less many");
      await on("alternate");
      await until((all) => all[0] === "1" && all[5] === "6");
      await type("G");
      await until((all) => all.some((line) => line === "500"));
      await shoot("pager");
      await type("q");
      await on("normal");
    }
  },

  async outlivesAReload() {
    await enter("kept=a-variable-$((40 + 2)); echo se''t");
    await shows("set");
    await page.reload();
    await ready();
    await shows("42-is-it"); // what was shown before
    await enter('echo "still $kept"');
    await shows("still a-variable-42");
    await shoot("reloaded");
  },

  async endsWithItsShell() {
    await enter("exit 3");
    await shows("[ended with 3]");
  },

  async nothingIsRed() {
    assert.deepEqual(wrong, []);
  },

  async closes() {
    await browser.close();
  },
});
