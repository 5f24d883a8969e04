// The chat of one visitor: what the conversation shows, what is being sent, and how it stands. Everything that
// people and models write becomes text or nodes that are made one by one.

import { kept } from "./kept.js";
import { Line } from "./line.js";
import { ACCEPT, MAX_BYTES, MAX_FILES, pictured, read, size } from "./files.js";
import { element, mine, pictures, shown } from "./message.js";

const base = new URL("./", location.href);
const $ = (id) => document.getElementById(id);

const asked = () => new URLSearchParams(location.hash.slice(1));
const tellSite = (event) => parent !== window && parent.postMessage({ openclawmu: event }, "*");

let visitor = kept.get("visitor");
let who = null; // The visitor's id, once it is known.
let rev = 0; // The latest change that is shown.
let isReady = false;
const items = new Map(); // What the conversation shows, by place: { rev, it, node }.
let unsent = []; // What was sent and is not known to be kept: { id, text, at, about, data, state, why, node }.
let chosen = []; // Files that go with the next message.

// --- What is shown.

const calendar = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const scroll = $("scroll");
const isAtEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 60;
function toEnd() {
  scroll.scrollTop = scroll.scrollHeight;
  $("latest").hidden = true;
}

const states = { sending: "Sending…", kept: "Sent", waiting: "Waiting for the connection…", later: "Not sent yet, trying again…", failed: "Not sent" };

function pending(it) {
  const below = [element("span", { text: states[it.state], className: it.state })];
  if (it.why) below.push(element("span", { text: it.why, className: "failed" }));
  if (it.state === "failed") {
    const again = element("button", { type: "button", text: "Try again" });
    again.onclick = () => retry(it);
    below.push(again);
  }
  const node = mine({ id: it.id, text: it.text, attachments: it.about }, it.at, below);
  node.dataset.state = it.state;
  return node;
}

/** Puts every message where it belongs. What has not changed stays the node that it is. */
function draw() {
  const stays = isAtEnd();
  const list = $("messages");
  const nodes = [];
  let day = "";
  const known = new Set();
  for (const [, item] of [...items].sort(([a], [b]) => a - b)) {
    if (!item.node) continue;
    if (item.it.type === "said") known.add(item.it.message.id);
    const date = calendar.format(item.it.at);
    if (date !== day && items.size) {
      item.day ??= element("li", { className: "day", text: date });
      nodes.push(item.day);
      day = date;
    }
    nodes.push(item.node);
  }
  // What is kept is among the items a moment later.
  unsent = unsent.filter((it) => it.state !== "kept" || !known.has(it.id));
  for (const it of unsent) {
    if (known.has(it.id)) continue;
    const later = [...items.values()].find((other) => it.state === "failed" && other.node && other.it.at > it.at);
    nodes.splice(later ? nodes.indexOf(later.node) : nodes.length, 0, (it.node ??= pending(it)));
  }
  nodes.forEach((node, n) => {
    if (list.children[n] !== node) list.insertBefore(node, list.children[n] ?? null);
  });
  while (list.children.length > nodes.length) list.lastChild.remove();
  $("greeting").hidden = nodes.length > 0 || !$("greeting").textContent;
  if (stays) toEnd();
}

let typingEnds = 0;
function typing(ms) {
  clearTimeout(typingEnds);
  const stays = isAtEnd();
  $("typing").hidden = !ms;
  if (ms) typingEnds = setTimeout(() => typing(0), ms);
  if (stays) toEnd();
}

function notice(text) {
  $("notice").textContent = text ?? "";
  $("notice").hidden = !text;
}

function state(is, text) {
  $("state").dataset.is = is;
  if ($("state").textContent !== text) $("state").textContent = text;
}

// --- What the gateway tells.

const told = {
  welcome(frame) {
    if (frame.visitor) {
      visitor = frame.visitor;
      kept.set("visitor", visitor);
    }
    if (frame.anew || (who !== null && who !== frame.id)) {
      items.clear();
      rev = 0;
    }
    if (who !== frame.id) {
      who = frame.id;
      const left = kept.get("unsent");
      const mine = left?.who === who && Array.isArray(left.list) ? left.list : [];
      const ids = new Set(unsent.map((it) => it.id));
      unsent = [...mine.filter((it) => !ids.has(it.id)), ...unsent];
    }
  },
  item({ seq, rev: changed, it }) {
    rev = Math.max(rev, changed);
    const before = items.get(seq);
    if (before && before.rev >= changed) return;
    items.set(seq, { rev: changed, it, node: shown(it), day: before?.day });
    if (!isReady) return;
    const isNew = it.type === "message" && !before;
    if (isNew) {
      typing(0);
      tellSite("message");
    }
    const stays = isAtEnd();
    draw();
    if (isNew && !stays) $("latest").hidden = false;
  },
  ready(frame) {
    rev = Math.max(rev, frame.rev);
    const isFirst = !isReady;
    isReady = true;
    state("ready", "Online");
    notice();
    draw();
    if (isFirst) {
      toEnd();
      ready();
    }
    for (const it of unsent) if (it.state !== "failed" && it.state !== "kept") send(it);
  },
  kept: ({ id }) => standing(id, "kept"),
  refused: ({ id, why }) => standing(id, "failed", why),
  later({ id, ms }) {
    const it = standing(id, "later");
    if (!it) return;
    it.tries = Math.min((it.tries ?? 0) + 1, 5);
    setTimeout(() => unsent.includes(it) && isReady && send(it), ms * it.tries);
  },
  typing: ({ ms }) => typing(ms),
  error({ code, why }) {
    if (code === "visitor") {
      // The gateway does not know it any more: whoever comes is somebody new.
      visitor = null;
      kept.set("visitor", null);
      return;
    }
    if (code === "expired" || code === "signature" || code === "unsigned") {
      line.end();
      state("ended", code === "unsigned" ? "Please sign in" : "Signed out");
      notice(code === "unsigned" ? "Please sign in to chat." : "Please reload the page to go on.");
      $("send").disabled = true;
      tellSite("expired");
      return;
    }
    notice(why);
    line.later();
  },
};

const line = new Line(new URL("socket", base.href.replace(/^http/, "ws")), {
  hello() {
    const signed = asked().get("signed");
    return { type: "hello", ...(signed ? { signed } : visitor ? { visitor } : {}), after: who === null ? 0 : rev };
  },
  frame: (frame) => told[frame.type]?.(frame),
  state(is) {
    if (is === "connecting" && isReady) return;
    isReady = isReady && is !== "waiting";
    state("waiting", is === "waiting" ? "Offline, trying again…" : "Connecting…");
    if (is === "waiting") for (const it of unsent) if (it.state === "sending") standing(it.id, "waiting");
  },
});

// --- What is sent. It is known by its id: sent again, it is one message.

function keep() {
  // Files stay with the page: a browser keeps little.
  const left = unsent.filter((it) => it.state !== "kept" && !it.data?.length);
  const list = left.map(({ id, text, at, state }) => ({ id, text, at, state }));
  if (who !== null) kept.set("unsent", list.length ? { who, list } : null);
}

function standing(id, state, why) {
  const it = unsent.find((it) => it.id === id);
  if (!it) return null;
  Object.assign(it, { state, why, node: null });
  keep();
  draw();
  return it;
}

function send(it) {
  const { id, text, at } = it;
  const message = { id, text, at, ...(it.about?.length && { attachments: it.about }) };
  if (it.data?.length) return upload(it, { type: "say", message, files: it.data });
  const isSaid = isReady && line.say({ type: "say", message });
  if (it.state !== (isSaid ? "sending" : "waiting")) standing(id, isSaid ? "sending" : "waiting");
}

/** Files go by a request, of which the gateway bounds what all hold together. */
async function upload(it, frame) {
  if (it.isUnderWay) return;
  it.isUnderWay = true;
  if (it.state !== "sending") standing(it.id, "sending");
  const signed = asked().get("signed");
  const authorization = signed ? `Signed ${signed}` : `Visitor ${visitor}`;
  try {
    const headers = { authorization, "content-type": "application/json" };
    const reply = await fetch(new URL("say", base), { method: "POST", headers, body: JSON.stringify(frame) });
    if (reply.status >= 500) throw new Error(`answered ${reply.status}`);
    const answer = await reply.json();
    if (answer.type && answer.type !== "error") told[answer.type]?.(answer);
    else standing(it.id, "failed", answer.why ?? answer.error?.message ?? "");
  } catch {
    standing(it.id, "waiting");
    setTimeout(() => unsent.includes(it) && isReady && send(it), 3000);
  } finally {
    it.isUnderWay = false;
  }
}

function retry(it) {
  it.why = undefined;
  it.state = "waiting";
  send(it);
}

// --- The composer.

const text = $("text");

function fit() {
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight, 144)}px`;
  $("send").disabled = $("state").dataset.is === "ended" || (!text.value.trim() && !chosen.length);
}

/** One may type at once, where that opens no keyboard on the screen. */
function ready() {
  const isPhone = matchMedia("(pointer: coarse)").matches;
  if (!isPhone && document.hasFocus() && document.activeElement === document.body) text.focus();
}

function id() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (it) => it.toString(16).padStart(2, "0")).join("");
}

$("composer").onsubmit = (event) => {
  event.preventDefault();
  const said = text.value.trim();
  if (!said && !chosen.length) return;
  const it = { id: id(), text: said, at: Date.now(), about: chosen.map((it) => it.about), data: chosen.map((it) => it.data), state: "waiting" };
  chosen.forEach((file, n) => file.address && pictures.set(`${it.id}/${n}`, file.address));
  chosen = [];
  text.value = "";
  notice();
  drawFiles();
  unsent.push(it);
  keep();
  draw();
  toEnd();
  send(it);
  fit();
};

text.oninput = fit;
text.onkeydown = (event) => {
  const isPhone = matchMedia("(pointer: coarse)").matches;
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || isPhone) return;
  event.preventDefault();
  $("composer").requestSubmit();
};

async function add(files) {
  notice();
  for (const file of files) {
    if (chosen.length >= MAX_FILES) {
      notice(`At most ${MAX_FILES} files go with one message.`);
      break;
    }
    try {
      const left = MAX_BYTES - chosen.reduce((sum, it) => sum + it.about.size, 0);
      const it = await read(file, left);
      if (it.about.mediaType.startsWith("image/")) it.address = pictured(it.blob);
      chosen.push(it);
    } catch (err) {
      notice(err.message);
    }
  }
  drawFiles();
  fit();
}

function drawFiles() {
  $("files").replaceChildren(
    ...chosen.map((it) => {
      const remove = element("button", { type: "button", text: "×" });
      remove.setAttribute("aria-label", `Remove ${it.about.name}`);
      remove.onclick = () => {
        chosen = chosen.filter((other) => other !== it);
        drawFiles();
        fit();
      };
      const icon = it.address ? [element("img", { src: it.address, alt: "" })] : [];
      return element("li", { className: "file" }, ...icon, element("span", { text: it.about.name }), element("small", { text: size(it.about.size) }), remove);
    }),
  );
  $("files").hidden = !chosen.length;
}

$("pick").accept = ACCEPT;
$("pick").onchange = async () => {
  const files = [...$("pick").files];
  $("pick").value = "";
  await add(files);
  text.focus();
};
$("attach").onclick = () => $("pick").click();
text.onpaste = (event) => {
  const files = [...event.clipboardData.files];
  if (!files.length) return;
  event.preventDefault();
  add(files);
};
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", () => document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  add([...event.dataTransfer.files]);
});

// --- What the site says: in the fragment of the address, which no server sees.

function adorn() {
  const said = asked();
  const title = said.get("title") || "Chat";
  $("title").textContent = document.title = title;
  $("greeting").textContent = said.get("greeting") ?? "";
  const colour = said.get("colour");
  if (colour && CSS.supports("color", colour)) document.documentElement.style.setProperty("--accent", colour);
  $("close").hidden = parent === window || !said.has("close");
}

let signed = asked().get("signed");
addEventListener("hashchange", () => {
  adorn();
  const now = asked().get("signed");
  if (now === signed) return;
  signed = now;
  notice();
  fit();
  line.anew();
});
$("close").onclick = () => tellSite("close");
addEventListener("keydown", (event) => event.key === "Escape" && tellSite("close"));
$("latest").onclick = toEnd;
let wasAtEnd = true;
scroll.onscroll = () => {
  wasAtEnd = isAtEnd();
  if (wasAtEnd) $("latest").hidden = true;
};
new ResizeObserver(() => wasAtEnd && toEnd()).observe(scroll); // What is below it grows and shrinks.
addEventListener("resize", fit);
addEventListener("focus", ready);

adorn();
fit();
draw();
line.open();
