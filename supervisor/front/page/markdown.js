// Markdown as nodes: of what a model writes nothing becomes markup but what is made here, element by element.
// What it knows: paragraphs, headings, lists, quotes, tables, rules, code, emphasis, links.

const LINK = /^(?:https?:\/\/|mailto:)/i;
const DEEPEST = 6; // Lists and quotes within each other: beyond that they are text.

// Each is bounded, so that no text takes long that was written to take long.
const INLINE = new RegExp(
  [
    "(?<tick>`+)(?<code>[^`](?:[\\s\\S]{0,2000}?[^`])?)\\k<tick>(?!`)",
    "\\[(?<label>[^\\]\\n]{1,500})\\]\\((?<to>[^\\s()]{1,2000}(?:\\([^\\s()]*\\)[^\\s()]*)?)\\)",
    "\\*\\*\\*(?=[^\\s*])(?<both>(?:(?!\\n\\n)[^*]){0,2000}?[^\\s*])\\*\\*\\*",
    "(?<strong>\\*\\*|__)(?=\\S)(?<bold>(?:(?!\\n\\n)[\\s\\S]){0,2000}?\\S)\\k<strong>",
    "(?<gone>~~)(?=\\S)(?<struck>(?:(?!\\n\\n)[\\s\\S]){0,2000}?\\S)\\k<gone>",
    "\\*(?=[^\\s*])(?<star>(?:(?!\\n\\n)[^*]){0,2000}?[^\\s*])\\*(?!\\*)",
    "(?<![\\p{L}\\p{N}_])_(?=[^\\s_])(?<under>(?:(?!\\n\\n)[^_]){0,2000}?[^\\s_])_(?![\\p{L}\\p{N}_])",
    "(?<bare>https?:\\/\\/(?:\\([^\\s()<>\"'`]*\\)|[^\\s()<>\"'`])*(?:\\([^\\s()<>\"'`]*\\)|[^\\s()<>\"'`.,;:!?\\]}*_~]))",
    "\\\\(?<escaped>[!-\\/:-@\\[-`{-~])",
  ].join("|"),
  "gu",
);

const element = (name, ...children) => {
  const made = document.createElement(name);
  made.append(...children);
  return made;
};

function link(to, label) {
  if (!LINK.test(to)) return [label].flat();
  const made = element("a", ...[label].flat());
  made.href = to;
  made.target = "_blank";
  made.rel = "noopener noreferrer nofollow";
  return [made];
}

/** The nodes of a text within a paragraph. */
function inline(text, depth = 0) {
  if (depth > DEEPEST) return [text];
  const nodes = [];
  let at = 0;
  const plain = (part) => {
    part.split("\n").forEach((line, n) => {
      if (n) nodes.push(element("br"));
      if (line) nodes.push(line);
    });
  };
  for (const match of text.matchAll(INLINE)) {
    plain(text.slice(at, match.index));
    at = match.index + match[0].length;
    const { code, label, to, both, bold, struck, star, under, bare, escaped } = match.groups;
    const inner = (text) => inline(text, depth + 1);
    if (code !== undefined) nodes.push(element("code", code.replace(/^ (.*\S.*) $/s, "$1")));
    else if (to !== undefined) nodes.push(...link(to, inner(label)));
    else if (both !== undefined) nodes.push(element("strong", element("em", ...inner(both))));
    else if (bold !== undefined) nodes.push(element("strong", ...inner(bold)));
    else if (struck !== undefined) nodes.push(element("s", ...inner(struck)));
    else if (star !== undefined || under !== undefined) nodes.push(element("em", ...inner(star ?? under)));
    else if (bare !== undefined) nodes.push(...link(bare, bare));
    else nodes.push(escaped);
  }
  plain(text.slice(at));
  return nodes;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])[ \t]+(.*)$/;
const QUOTE = /^ {0,3}> ?/;
const ROW = /^ {0,3}\|.*\|[ \t]*$/;
const DIVIDER = /^ {0,3}\|(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*$/;
const starts = (line) => [FENCE, HEADING, RULE, ITEM, QUOTE].some((it) => it.test(line));

/** The blocks of lines. */
function blocks(lines, depth) {
  const made = [];
  let at = 0;
  const while_ = (holds) => {
    const from = at;
    while (at < lines.length && holds(lines[at])) at += 1;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at];
    const fence = FENCE.exec(line);
    if (!line.trim()) {
      at += 1;
    } else if (fence) {
      at += 1;
      const ends = (it) => it.trim().startsWith(fence[1]) && !it.trim().replaceAll(fence[1][0], "");
      const code = while_((it) => !ends(it)); // One that is not closed yet, while it is written, is code too.
      at += 1;
      made.push(element("pre", element("code", code.join("\n"))));
    } else if (RULE.test(line)) {
      at += 1;
      made.push(element("hr"));
    } else if (HEADING.test(line)) {
      const [, marks, text] = HEADING.exec(line);
      at += 1;
      made.push(element(marks.length < 3 ? "h2" : "h3", ...inline(text)));
    } else if (QUOTE.test(line) && depth < DEEPEST) {
      const inner = while_((it) => QUOTE.test(it)).map((it) => it.replace(QUOTE, ""));
      made.push(element("blockquote", ...blocks(inner, depth + 1)));
    } else if (ITEM.test(line) && depth < DEEPEST) {
      made.push(list(while_, lines, () => at, depth));
    } else if (ROW.test(line) && DIVIDER.test(lines[at + 1] ?? "")) {
      made.push(table(while_((it) => ROW.test(it))));
    } else {
      const first = lines[at];
      at += 1;
      const rest = while_((it) => it.trim() && !starts(it));
      made.push(element("p", ...inline([first, ...rest].join("\n").trim())));
    }
  }
  return made;
}

/** A list: each item with the lines that are indented below it. */
function list(while_, lines, at, depth) {
  const isNumbered = (line) => /^\s*\d/.test(line);
  const first = lines[at()];
  const ordered = isNumbered(first);
  const made = element(ordered ? "ol" : "ul");
  const start = ordered ? Number.parseInt(first, 10) : 1;
  if (start !== 1) made.start = start;
  for (;;) {
    const line = lines[at()];
    const item = line === undefined ? null : ITEM.exec(line);
    if (!item || isNumbered(line) !== ordered || RULE.test(line)) return made;
    let taken = false;
    const [, , mark, text] = item;
    const isMore = (it) => {
      if (!taken) return (taken = true);
      return /^(?: {2,}|\t)\S/.test(it);
    };
    const [, ...more] = while_(isMore);
    const indent = Math.min(...more.map((it) => /^\s*/.exec(it)[0].length), mark.length + 1);
    const inner = more.map((it) => it.slice(indent));
    const [head, ...rest] = blocks([text, ...inner], depth + 1);
    const nodes = head?.localName === "p" ? [...head.childNodes] : [head ?? ""];
    made.append(element("li", ...nodes, ...rest));
    if (lines[at()] !== undefined && !lines[at()].trim() && ITEM.test(lines[at() + 1] ?? "")) {
      let blank = 0; // Items may stand apart.
      while_(() => blank++ === 0);
    }
  }
}

function table([head, , ...rows]) {
  const cells = (row) => row.trim().slice(1, -1).split(/(?<!\\)\|/).map((it) => inline(it.trim()));
  const line = (row, name) => element("tr", ...cells(row).map((it) => element(name, ...it)));
  const made = element("table", element("thead", line(head, "th")), element("tbody", ...rows.map((it) => line(it, "td"))));
  const scroll = element("div", made);
  scroll.className = "table";
  return scroll;
}

/** The nodes of a text. */
export const markdown = (text) => blocks(text.replaceAll("\r\n", "\n").split("\n"), 0);

/** The nodes of what a person typed: text with its links. */
export function plain(text) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(/https?:\/\/(?:\([^\s()<>"'`]*\)|[^\s()<>"'`])*(?:\([^\s()<>"'`]*\)|[^\s()<>"'`.,;:!?\]}])/g)) {
    nodes.push(text.slice(at, match.index), ...link(match[0], match[0]));
    at = match.index + match[0].length;
  }
  return [...nodes, text.slice(at)];
}
