// What the unmodified `openai` package makes of limits: what is left, what is refused, what is cut off.
//
// Starts nothing and knows no test harness: address and tokens come from the environment, and what each
// token's tenant may do is said there. Prints one JSON line and ends with 0 when every check held, else with 1.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { VERSION } from "openai/version";

const { OPENCLAWMU_BASE_URL: baseURL, OPENCLAWMU_MODEL: model } = process.env; // answers at once
const endless = process.env.OPENCLAWMU_ENDLESS_MODEL; // streams and never ends
const wide = process.env.OPENCLAWMU_WIDE; // 1000 requests a minute, 1000000 tokens a day
const few = process.env.OPENCLAWMU_FEW; // 1 request a month
const poor = process.env.OPENCLAWMU_POOR; // 1 micro-dollar a month
const cut = process.env.OPENCLAWMU_CUT; // a few hundred tokens a month
const messages = [{ role: "user", content: "Say hello." }];

const connect = (apiKey, options) => new OpenAI({ baseURL, apiKey, timeout: 60_000, ...options });
const ask = (client, body) => client.chat.completions.create({ model, messages, ...body });

/** A refusal after one try of a client that tries again as it does by itself. */
async function refused(token, code) {
  let asked = 0;
  const counting = (...args) => ((asked += 1), fetch(...args));
  const error = await ask(connect(token, { fetch: counting })).then(
    () => assert.fail("was answered"),
    (cause) => cause,
  );
  assert.equal(asked, 1, `asked ${asked} times`);
  assert(error instanceof OpenAI.RateLimitError, `${error?.name}: ${error?.message}`);
  assert.deepEqual([error.status, error.code, error.type], [429, code, code]);
  const { limit } = error.error;
  assert.deepEqual([limit.level, limit.window], ["tenant", "month"]);
  assert(limit.resetsAt > Date.now());
  const wait = Number(error.headers.get("retry-after"));
  assert(wait > 0 && wait <= 31 * 86_400, `retry-after ${wait}`);
  assert.equal(error.headers.get("x-should-retry"), "false");
  assert(error.message.includes("begins anew") && error.message.includes(limit.limit));
  return limit;
}

const checks = {
  async whatIsLeft() {
    const { data, response } = await ask(connect(wide)).withResponse();
    assert(data.choices[0].message.content);
    const head = (name) => response.headers.get(`x-ratelimit-${name}`);
    assert.deepEqual([head("limit-requests"), head("limit-tokens")], ["1000", "1000000"]);
    assert(Number(head("remaining-requests")) < 1000 && Number(head("remaining-tokens")) < 1_000_000);
    assert.match(head("reset-requests"), /^\d+(ms|s)$|^1m0s$/);
    assert.match(head("reset-tokens"), /^(\d+h)?(\d+m)?\d+(ms|s)$/);
  },

  async aStreamSaysWhatIsLeft() {
    const { data, response } = await ask(connect(wide), { stream: true }).withResponse();
    assert.equal(response.headers.get("x-ratelimit-limit-requests"), "1000");
    for await (const chunk of data) assert(chunk.id);
  },

  async requestsAreUsedUp() {
    await ask(connect(few));
    const limit = await refused(few, "rate_limit_exceeded");
    assert.deepEqual([limit.limit, limit.max, limit.remaining], ["requests/month", 1, 0]);
  },

  async moneyIsUsedUp() {
    const limit = await refused(poor, "insufficient_quota");
    assert.deepEqual([limit.limit, limit.max], ["costMicros/month", 1]);
  },

  async aStreamIsCutOff() {
    let said = 0;
    const stream = await ask(connect(cut, { maxRetries: 0 }), { model: endless, stream: true });
    const read = async () => {
      for await (const { choices } of stream) {
        said += choices.filter((it) => it.delta.content).length;
        assert(!choices.some((it) => it.finish_reason), "taken for complete");
      }
    };
    const error = await read().then(
      () => assert.fail("taken for a complete answer"),
      (cause) => cause,
    );
    assert(error instanceof OpenAI.APIError, `${error?.name}: ${error?.message}`);
    assert.equal(error.code, "rate_limit_exceeded");
    assert.equal(error.error.limit.limit, "tokens/month");
    assert(said > 10, `only ${said} pieces`);
  },
};

const report = [];
for (const [name, check] of Object.entries(checks)) {
  await check().then(
    () => report.push({ name, ok: true }),
    (error) => report.push({ name, ok: false, why: `${error?.name}: ${error?.message}` }),
  );
}
console.log(JSON.stringify({ sdk: `openai-node ${VERSION}`, checks: report }));
process.exitCode = report.every(({ ok }) => ok) ? 0 : 1;
