// Chats with the official client, over a restart of the gateway of which the client is told nothing.
// Leaves the file `ready` in its home where the gateway may be restarted, and `back` at the end.
// Prints one JSON line and ends with 0 when every check held, else with 1.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { connect, report } from "./lib.mjs";

const leave = (name) => writeFileSync(join(homedir(), name), "");
const closes = [];
let hellos = 0;
const again = Promise.withResolvers();
const { event, request } = await connect({
  onClose: (code) => closes.push(code),
  onHelloOk: () => ++hellos === 2 && again.resolve(),
});

async function say(message) {
  const send = { sessionKey: "main", message, deliver: false, idempotencyKey: message };
  await request("chat.send", send);
  const ends = (it) => it.event === "chat" && it.payload.runId === message && it.payload.state === "final";
  const { payload } = await event(ends);
  assert.match(payload.message.content[0].text, new RegExp(message));
}

await report({
  async chats() {
    await say("before");
    leave("ready");
  },

  async comesBack() {
    const late = setTimeout(() => again.reject(new Error(`not back, closed with ${closes}`)), 60_000);
    await again.promise;
    clearTimeout(late);
    assert.equal(closes[0], 1006);
  },

  async goesOn() {
    await say("after");
    const { messages } = await request("chat.history", { sessionKey: "main", limit: 10 });
    assert.equal(messages.length, 4);
    leave("back");
  },
});
