// What the programs beside this one share: a connection of the official client, and the report.
//
// Knows no test harness: address and token come from the environment.

import { generateKeyPairSync, createHash, sign } from "node:crypto";
import { GatewayClient } from "@openclaw/gateway-client";

export const { OPENCLAWMU_URL: url, OPENCLAWMU_TOKEN: token } = process.env; // ws://HOST:PORT/t/TENANT

export const SCOPES = ["admin", "read", "write", "approvals", "pairing"].map((it) => `operator.${it}`);

const open = new Set();

/** Connects; `options` go to the official client as they are. Rejects where the gateway refuses. */
export async function connect(options = {}) {
  const events = [];
  const watchers = new Set();
  const ready = Promise.withResolvers();
  const client = new GatewayClient({
    url,
    token,
    clientName: "gateway-client",
    mode: "backend",
    role: "operator",
    scopes: SCOPES,
    onConnectError: ready.reject,
    onEvent(event) {
      events.push(event);
      for (const watcher of watchers) watcher();
    },
    ...options,
    onHelloOk(hello) {
      ready.resolve(hello);
      options.onHelloOk?.(hello);
    },
  });
  open.add(client);
  client.start();
  const hello = await ready.promise;
  /** The first event for which `wanted` holds, past or to come. */
  const event = (wanted) =>
    new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`in vain: ${wanted}`)), 20_000);
      const look = () => {
        const found = events.find(wanted);
        if (!found) return;
        watchers.delete(look);
        clearTimeout(late);
        resolve(found);
      };
      watchers.add(look);
      look();
    });
  const request = (method, params = {}, more) => client.request(method, params, more);
  return { client, hello, events, event, request };
}

/** A device's key, as the official client wants it. */
export function device() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ type: "spki", format: "der" }).subarray(-32);
  const identity = {
    deviceId: createHash("sha256").update(raw).digest("hex"),
    publicKeyPem: publicKey.export({ type: "spki", format: "pem" }),
    privateKeyPem: privateKey.export({ type: "pkcs8", format: "pem" }),
  };
  const hostDeps = {
    loadOrCreateDeviceIdentity: () => identity,
    signDevicePayload: (pem, payload) => sign(null, Buffer.from(payload), pem).toString("base64url"),
    publicKeyRawBase64UrlFromPem: () => raw.toString("base64url"),
  };
  return { deviceIdentity: identity, hostDeps };
}

/** Runs every check, says as one JSON line how they went, and ends the program. */
export async function report(checks) {
  const done = [];
  for (const [name, check] of Object.entries(checks)) {
    try {
      done.push({ name, ok: true, detail: await check() });
    } catch (cause) {
      done.push({ name, ok: false, detail: String(cause?.stack ?? cause).slice(0, 2000) });
    }
  }
  for (const client of open) client.stop();
  const text = JSON.stringify({ checks: done });
  process.stdout.write(`${text}\n`, () => process.exit(done.every((it) => it.ok) ? 0 : 1));
}
