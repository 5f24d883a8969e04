// Holds samples of what the gateway said against the official schema. OPENCLAWMU_SAMPLES names a
// file with {method, params, result} and {event, payload} objects, each with the tenant in `of`.
// One check per tenant and method.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { report } from "./lib.mjs";

// The package does not export it to importers.
const SCHEMA = "node_modules/@openclaw/gateway-protocol/protocol.schema.json";
const schema = JSON.parse(readFileSync(new URL(SCHEMA, import.meta.url), "utf8"));
// The schema's formats and its discriminator are notes to a reader.
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({ ...schema, discriminator: undefined }, "protocol");
const lower = new Map(Object.keys(schema.definitions).map((name) => [name.toLowerCase(), name]));

/** Where a result's type is not called as its method; `a.*` stands for every entry of `a`. */
const RESULTS = {
  hello: { "": "HelloOk" },
  "agent.identity.get": { "": "AgentIdentityResult" },
  "board.get": { "": "BoardSnapshot" },
  "chat.metadata": { "commands.*": "CommandEntry", "models.*": "ModelChoice" },
  "chat.startup": { "metadata.commands.*": "CommandEntry", "metadata.models.*": "ModelChoice", agentsList: "AgentsListResult", sessionInfo: "SessionRow" },
  "chat.history": { sessionInfo: "SessionRow" },
  "config.schema": { "": "ConfigSchemaResponse" },
  "cron.get": { "": "CronJob" },
  "cron.list": { "jobs.*": "CronJob", "deliveryPreviews.*": "CronDeliveryPreview" },
  "cron.runs": { "entries.*": "CronRunLogEntry" },
  "cron.update": { "": "CronJob" },
  "exec.approvals.get": { "": "ExecApprovalsSnapshot" },
  "sessions.describe": { session: "SessionRow" },
  "sessions.github.options": { "": "SessionGitHubOptionsResult" },
  "sessions.list": { "sessions.*": "SessionRow" },
};

const EVENTS = {
  agent: { "": "AgentEvent" },
  chat: { "": "ChatEvent" },
  "device.pair.requested": { "": "DevicePairRequestedEvent" },
  "device.pair.resolved": { "": "DevicePairResolvedEvent" },
  "node.invoke.request": { "": "NodeInvokeRequestEvent" },
  presence: { "presence.*": "PresenceEntry" },
  "session.operation": { "": "SessionOperationEvent" },
  shutdown: { "": "ShutdownEvent" },
  tick: { "": "TickEvent" },
};

/** The parts of a result with a type, each as [where, value, type]. */
function parts(sample) {
  const named = lower.get(`${sample.method?.replaceAll(".", "").toLowerCase()}result`);
  const types = sample.event ? EVENTS[sample.event] : (RESULTS[sample.method] ?? (named && { "": named }));
  return Object.entries(types ?? {}).flatMap(([path, type]) => {
    let found = [sample.event ? sample.payload : sample.result];
    for (const step of path.split(".").filter(Boolean)) {
      found = found.flatMap((it) => (step === "*" ? Object.values(it ?? {}) : [it?.[step]]));
    }
    // What is not there has no type; whether it must be there, its parent's type says.
    return found.filter((it) => it !== undefined && it !== null).map((it) => [path, it, type]);
  });
}

/** What the live reference sends although its schema is closed and has not followed. */
function settled(sample) {
  if (sample.event === "agent") {
    const { sessionKey, sessionId, agentId, ...payload } = sample.payload;
    return { ...sample, payload };
  }
  if (sample.method === "hello") {
    const { method, ...auth } = sample.result.auth;
    return { ...sample, result: { ...sample.result, auth } };
  }
  return sample;
}

const checks = {};
const groups = new Map();
for (const sample of JSON.parse(readFileSync(process.env.OPENCLAWMU_SAMPLES, "utf8"))) {
  for (const part of parts(settled(sample))) {
    const name = `${sample.of} ${sample.method ?? `event ${sample.event}`}`;
    groups.set(name, [...(groups.get(name) ?? []), [sample.params, part]]);
  }
}
for (const [name, found] of groups) {
  checks[name] = () => {
    const wrong = [];
    for (const [params, [path, value, type]] of found) {
      const validate = ajv.getSchema(`protocol#/definitions/${type}`);
      if (validate(value)) continue;
      const errors = validate.errors.slice(0, 12).map((it) => `${it.instancePath} ${it.message} ${JSON.stringify(it.params)}`);
      wrong.push({ type, params, path, errors, value: JSON.stringify(value).slice(0, 700) });
    }
    assert.deepEqual(wrong, []);
    return found.length;
  };
}
await report(checks);
