// Chats with the two client libraries: `openclaw-node` of a third party, and the official one.
// Prints one JSON line and ends with 0 when every check held, else with 1.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OpenClawClient } from "openclaw-node";
import { connect, report, token, url } from "./lib.mjs";

const third = () =>
  new OpenClawClient({ url, token, deviceIdentityPath: join(tmpdir(), `${randomUUID()}.json`) });

await report({
  async openclawNodeStreams() {
    const client = third();
    await client.connect();
    const kinds = new Set();
    let text = "";
    for await (const chunk of client.chat("one two three")) {
      kinds.add(chunk.type);
      if (chunk.type === "text") text += chunk.text;
    }
    await client.disconnect();
    assert.equal(text.trim(), "one two three");
    assert(kinds.has("done"), [...kinds].join());
  },

  async openclawNodeAnswersAtOnce() {
    const client = third();
    await client.connect();
    const answer = await client.chatSync("four five", { sessionKey: "agent:main:kept" });
    await client.disconnect();
    assert.equal(answer.trim(), "four five");
  },

  async gatewayClientChats() {
    const { event, events, request } = await connect();
    const sessionKey = "agent:main:main";
    const idempotencyKey = randomUUID();
    const send = { sessionKey, message: "alpha beta gamma", deliver: false, idempotencyKey };
    const { runId, status } = await request("chat.send", send);
    assert.deepEqual([runId, status], [idempotencyKey, "started"]);
    const ours = (it) => it.event === "chat" && it.payload.runId === runId;
    const final = await event((it) => ours(it) && it.payload.state === "final");
    const deltas = events.filter((it) => ours(it) && it.payload.state === "delta");
    assert.equal(deltas.map((it) => it.payload.deltaText).join(""), "alpha beta gamma");
    assert.equal(deltas.at(-1).payload.message.content[0].text, "alpha beta gamma");
    assert.equal(final.payload.message.content[0].text, "alpha beta gamma");
    const { messages } = await request("chat.history", { sessionKey, limit: 10 });
    assert.deepEqual(messages.map((it) => it.role).slice(-2), ["user", "assistant"]);
    const again = await request("chat.send", send);
    assert.equal(again.runId, runId);
    const after = await request("chat.history", { sessionKey, limit: 10 });
    assert.equal(after.messages.length, messages.length, "one key, one message");
  },

  async gatewayClientRunsAnAgentInTwoPhases() {
    const { request } = await connect();
    let accepted;
    const params = { message: "delta", agentId: "main", deliver: false, idempotencyKey: randomUUID() };
    const options = { expectFinal: true, onAccepted: (payload) => (accepted = payload) };
    const done = await request("agent", params, options);
    assert.equal(accepted?.status, "accepted");
    assert.deepEqual([done.status, done.result.payloads[0].text], ["ok", "delta"]);
    const waited = await request("agent.wait", { runId: done.runId, timeoutMs: 1000 });
    assert.equal(waited.status, "ok");
  },
});
