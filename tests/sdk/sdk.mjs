// Drives the gateway with the unmodified `openai` package, as a tenant's own program would.
//
// Starts nothing and knows no test harness: address, token and model names come from the environment.
// Prints one JSON line and ends with 0 when every check held, else with 1.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { VERSION } from "openai/version";

const { OPENCLAWMU_BASE_URL: baseURL, OPENCLAWMU_TOKEN: token } = process.env; // the URL ends in /v1
const models = process.env.OPENCLAWMU_MODELS.split(",");
const endless = process.env.OPENCLAWMU_ENDLESS_MODEL; // streams for longer than this program runs
const bodyLimit = Number(process.env.OPENCLAWMU_BODY_LIMIT); // bytes
const messages = [{ role: "user", content: "Say hello, then count to two hundred." }];

// No retries: a check is about one answer.
const connect = (apiKey = token) => new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });

/** Runs `call`, which must fail with an error of `kind` that tells a person why. */
async function refused(call, kind, statuses) {
  const error = await call().then(
    () => assert.fail("was answered"),
    (cause) => cause,
  );
  assert(error instanceof kind, `${error?.name}: ${error?.message}`);
  assert(statuses.includes(error.status), `status ${error.status}`);
  assert(error.error?.message, "no message in the body");
  assert(!String(error).includes(token), "the error repeats the token");
  return `${error.constructor.name} ${error.status}`;
}

const create = (body, options) =>
  connect().chat.completions.create({ model: models[0], messages, ...body }, options);

const checks = {
  async chat() {
    for (const model of models) {
      const { object, choices, usage } = await create({ model });
      assert.equal(object, "chat.completion");
      assert.equal(choices[0].message.role, "assistant");
      assert(choices[0].message.content);
      assert(["stop", "length"].includes(choices[0].finish_reason));
      assert(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
      assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    }
  },

  async streamingWithUsage() {
    for (const model of models) {
      const chunks = [];
      const options = { stream: true, stream_options: { include_usage: true } };
      for await (const chunk of await create({ model, ...options })) chunks.push(chunk);
      const deltas = chunks.flatMap((chunk) => chunk.choices.slice(0, 1));
      assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1, "one answer, one id");
      assert(deltas.map((it) => it.delta.content ?? "").join(""), "no text");
      const reasons = deltas.map((it) => it.finish_reason).filter(Boolean);
      assert(reasons.length === 1 && ["stop", "length"].includes(reasons[0]), String(reasons));
      assert.equal(chunks.filter((chunk) => chunk.usage).length, 1);
      assert(chunks.at(-1).usage?.completion_tokens > 0, "usage comes last");
      assert.equal(chunks.at(-1).choices.length, 0);
    }
  },

  async streamingWithoutUsage() {
    for await (const chunk of await create({ stream: true })) {
      assert(!chunk.usage, "usage that nobody asked for");
    }
  },

  wrongKey: () =>
    refused(
      () => connect(token.slice(0, -1) + (token.endsWith("a") ? "b" : "a")).models.list(),
      OpenAI.AuthenticationError,
      [401],
    ),

  unknownModel: () =>
    refused(() => create({ model: "no-such-model" }), OpenAI.NotFoundError, [404]),

  oversizedBody: () =>
    refused(
      () => create({ messages: [{ role: "user", content: "x".repeat(bodyLimit + 1) }] }),
      OpenAI.APIError,
      [413],
    ),

  malformedBody: () => refused(() => create({ messages: 7 }), OpenAI.APIError, [400, 422]),

  async cancelInMidStream() {
    const stream = await create({ model: endless, stream: true });
    let count = 0;
    for await (const chunk of stream) {
      assert(!chunk.choices[0]?.finish_reason, "too short to cancel");
      if (++count === 3) break; // leaving the loop aborts the request
    }
    assert(stream.controller.signal.aborted, "the SDK did not abort");
    await checks.chat();
  },

  async responses() {
    for (const model of models) {
      const input = "Say hello.";
      const answer = await connect().responses.create({ model, input, instructions: "Be brief." });
      assert.equal(answer.object, "response");
      assert.equal(answer.status, "completed");
      assert(answer.id.startsWith("resp_") && answer.output_text);
      const { usage } = answer;
      assert(usage.input_tokens > 0 && usage.output_tokens > 0);
      assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
    }
  },

  async responsesStreaming() {
    for (const model of models) {
      const events = [];
      const input = "Say hello twice.";
      const stream = await connect().responses.create({ model, input, stream: true });
      for await (const event of stream) events.push(event);
      assert.deepEqual(
        events.map((event) => event.sequence_number),
        [...events.keys()],
      );
      const kinds = events.map((event) => event.type.replace("response.", ""));
      const begin = ["created", "in_progress", "output_item.added", "content_part.added"];
      const end = ["output_text.done", "content_part.done", "output_item.done", "completed"];
      assert.deepEqual(kinds.slice(0, 4), begin);
      assert.deepEqual(kinds.slice(-4), end);
      const deltas = events.filter((event) => event.type === "response.output_text.delta");
      const text = deltas.map((event) => event.delta).join("");
      assert.equal(events.at(-1).response.output[0].content[0].text, text);
    }
    const helper = connect().responses.stream({ model: models[0], input: "Say hello." });
    assert((await helper.finalResponse()).output_text);
  },

  async responsesPrevious() {
    const next = (body) => connect().responses.create({ model: "openclaw", ...body });
    const first = await next({ input: "My word is plum." });
    const then = await next({ input: "And now?", previous_response_id: first.id });
    assert.equal(then.previous_response_id, first.id);
    const unknown = { input: "x", previous_response_id: `resp_${"0".repeat(32)}` };
    return refused(() => next(unknown), OpenAI.BadRequestError, [400]);
  },

  async responsesFunctionTool() {
    const parameters = { type: "object", properties: { a: { type: "number" } } };
    const tools = [{ type: "function", name: "add", parameters, strict: false }];
    for (const model of [models[0], "openclaw"]) {
      const next = (body) => connect().responses.create({ model, tools, ...body });
      const first = await next({ input: 'call add {"a": 1}' });
      const call = first.output.find((item) => item.type === "function_call");
      assert.deepEqual([call.name, JSON.parse(call.arguments)], ["add", { a: 1 }]);
      const output = { type: "function_call_output", call_id: call.call_id, output: "it is 2" };
      const then = await next(
        model === "openclaw"
          ? { previous_response_id: first.id, input: [output] }
          : { input: [{ role: "user", content: "add" }, ...first.output, output] },
      );
      assert(then.output_text.includes("it is 2"), then.output_text);
    }
  },

  async embeddings() {
    const embed = (body) => connect().embeddings.create({ model: models[0], ...body });
    const input = ["one", "three"];
    // The package asks for base64 unless it is told otherwise.
    const packed = await embed({ input });
    const plain = await embed({ input, encoding_format: "float" });
    const numbers = (answer) => answer.data.map((one) => [...one.embedding]);
    assert.deepEqual(numbers(packed), numbers(plain));
    assert.equal(plain.data[1].embedding[0], 5);
    assert(packed.usage.prompt_tokens > 0);
    return refused(() => embed({ input: [1, 2, 3] }), OpenAI.APIError, [400, 422]);
  },

  async models() {
    const listed = [];
    for await (const model of connect().models.list()) listed.push(model.id);
    for (const model of models) assert(listed.includes(model), `${model} not in ${listed}`);
    assert.equal((await connect().models.retrieve(models[0])).object, "model");
  },
};

const results = [];
for (const [name, check] of Object.entries(checks)) {
  results.push(
    await check().then(
      (detail) => ({ name, ok: true, detail: detail ?? "" }),
      (error) => ({ name, ok: false, detail: `${error.name}: ${error.message}` }),
    ),
  );
}
const ok = results.every((result) => result.ok);
console.log(JSON.stringify({ sdk: `openai-node ${VERSION}`, ok, checks: results }));
process.exitCode = ok ? 0 : 1;
