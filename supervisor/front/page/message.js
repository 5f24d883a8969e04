// What one message looks like, made node by node of what people and models write.

import { brought, preview, size } from "./files.js";
import { markdown, plain } from "./markdown.js";

export const element = (name, { text, ...props } = {}, ...children) => {
  const made = Object.assign(document.createElement(name), props);
  made.append(...(text === undefined ? [] : [text]), ...children);
  return made;
};

/** Addresses of pictures at hand, by message and number. */
export const pictures = new Map();

const files = new Map(); // Addresses of files that answers brought, by message.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });

function attached(id, list) {
  const made = element("ul", { className: "attached" });
  list.forEach((it, n) => {
    const key = `${id}/${n}`;
    if (!pictures.has(key) && it.preview) pictures.set(key, preview(String(it.preview)));
    const source = pictures.get(key);
    const name = String(it.name ?? "file");
    const shown = source
      ? element("img", { src: source, alt: name, title: name })
      : element("span", { className: "file" }, ...told(name, it.size));
    made.append(element("li", {}, shown));
  });
  return made;
}

const told = (name, bytes) => [element("span", { text: name }), element("small", { text: size(Number(bytes) || 0) })];

/** A file that an answer brought: a picture is shown, and whatever it is, it can be saved and is not opened. */
function filed(key, file) {
  if (!files.has(key)) files.set(key, brought(file));
  const { address, isPicture } = files.get(key);
  const name = String(file.name ?? "file");
  if (!address) return element("span", { className: "file" }, ...told(name, file.size));
  const save = element("a", { href: address, download: name, title: name });
  const shown = isPicture ? [element("img", { src: address, alt: name })] : told(name, file.size);
  if (!isPicture) save.className = "file";
  save.append(...shown);
  return element("ul", { className: "attached" }, element("li", {}, save));
}

/** A message: whose, what is in it, and what stands below. */
function message(whose, at, nodes, below = []) {
  const time = element("time", { text: clock.format(at), dateTime: new Date(at).toISOString() });
  const bubble = element("div", { className: "bubble" }, ...nodes);
  if (nodes.length === 1 && nodes[0].querySelector?.("img")) bubble.classList.add("bare");
  const said = element("span", { className: "unseen", text: whose === "mine" ? "You, " : "Answer, " });
  return element("li", { className: `message ${whose}` }, bubble, element("div", { className: "meta" }, said, time, ...below));
}

export function mine({ id, text, attachments }, at, below) {
  const nodes = [];
  if (attachments?.length) nodes.push(attached(id, attachments));
  if (text) nodes.push(element("div", {}, ...plain(String(text))));
  return message("mine", at, nodes, below);
}

/** The node of what the conversation shows; none for what this page does not know. */
export function shown(it) {
  const at = Number(it.at) || 0;
  if (it.type === "said") return mine(it.message, at, [element("span", { text: "Sent" })]);
  if (it.type === "message" && it.file) return message("theirs", at, [filed(String(it.key), it.file)]);
  if (it.type === "message") return message("theirs", at, markdown(String(it.text)));
  return null;
}
