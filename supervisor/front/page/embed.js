// Puts the chat into a site: <script src="…/embed.js" async></script>. A button in a corner, and above it the
// page in a frame. What it may be told: data-title, data-greeting, data-colour, data-side ("left"),
// data-open, and data-signed, which says who the visitor is. See docs/channels/webchat.md.
(() => {
  const script = document.currentScript;
  const page = new URL("./", script.src);
  const { title = "Chat", greeting, colour, side, signed } = script.dataset;
  const key = `openclawmu.open.${page.pathname}`;
  let said = { title, greeting, colour, signed, close: "1" };
  let frame = null;
  let isOpen = false;

  const host = document.createElement("div");
  const root = host.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet();
  style.replaceSync(`
    :host { all: initial }
    button {
      position: fixed; ${side === "left" ? "left" : "right"}: 20px; bottom: 20px; z-index: 2147483000;
      width: 56px; height: 56px; padding: 0; border: 0; border-radius: 50%; cursor: pointer;
      background: var(--colour, #2b64d8); color: #fff; box-shadow: 0 4px 16px #0004; display: grid; place-items: center;
      transition: transform .15s;
    }
    button:hover { transform: scale(1.05) }
    button:focus-visible { outline: 3px solid #fff; box-shadow: 0 0 0 6px var(--colour, #2b64d8) }
    button[data-unread]::after {
      content: ""; position: absolute; top: 2px; right: 2px; width: 12px; height: 12px; border-radius: 50%;
      background: #d93025; border: 2px solid #fff;
    }
    svg { width: 28px; height: 28px; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round }
    iframe {
      position: fixed; ${side === "left" ? "left" : "right"}: 20px; bottom: 88px; z-index: 2147483000;
      width: 392px; height: min(640px, calc(100dvh - 108px)); border: 0; border-radius: 18px;
      background: Canvas; color-scheme: light dark; box-shadow: 0 12px 48px #0005;
    }
    [hidden] { display: none }
    @media (max-width: 480px) {
      iframe { inset: 0; width: 100%; height: 100dvh; border-radius: 0 }
      button[aria-expanded="true"] { display: none }
    }
    @media (prefers-reduced-motion: reduce) { button { transition: none } }
  `);
  root.adoptedStyleSheets = [style];
  if (colour && CSS.supports("color", colour)) host.style.setProperty("--colour", colour);

  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-label", title);
  button.setAttribute("aria-expanded", "false");
  const drawing = (path) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(svg.namespaceURI, "path");
    line.setAttribute("d", path);
    svg.append(line);
    return svg;
  };
  const closed = drawing("M4.5 5.5h15v10.5h-8L7 20v-4H4.5z");
  const opened = drawing("M6 9l6 6 6-6");
  button.append(closed);
  root.append(button);

  const address = () => {
    const known = Object.entries(said).filter(([, value]) => value);
    return `${page.href}#${new URLSearchParams(known)}`;
  };

  function remember(value) {
    try {
      sessionStorage.setItem(key, value ? "1" : "");
    } catch {
      // Then it is closed when the site is opened again.
    }
  }

  function show(value, hasFocus = true) {
    isOpen = value;
    remember(value);
    if (value && !frame) {
      frame = document.createElement("iframe");
      frame.title = title;
      frame.src = address();
      // What had no document yet could take no keys.
      frame.onload = () => root.activeElement === frame && frame.contentWindow.focus();
      root.append(frame);
    }
    if (frame) frame.hidden = !value;
    button.replaceChildren(value ? opened : closed);
    button.setAttribute("aria-expanded", String(value));
    button.removeAttribute("data-unread");
    if (hasFocus) (value ? frame : button).focus();
  }

  button.onclick = () => show(!isOpen);
  addEventListener("message", ({ source, origin, data }) => {
    if (!frame || source !== frame.contentWindow || origin !== page.origin) return;
    if (data?.openclawmu === "close") show(false);
    if (data?.openclawmu === "message" && !isOpen) button.setAttribute("data-unread", "");
    if (data?.openclawmu === "expired") host.dispatchEvent(new CustomEvent("openclawmu-expired", { bubbles: true }));
  });

  // What a site may do: open and close it, and say anew who the visitor is.
  window.openclawmu = {
    open: () => show(true),
    close: () => show(false),
    sign(signed) {
      said = { ...said, signed };
      if (frame) frame.src = address();
    },
  };

  const put = () => {
    document.body.append(host);
    let isToOpen = script.hasAttribute("data-open");
    try {
      isToOpen ||= sessionStorage.getItem(key) === "1";
    } catch {
      // As above.
    }
    if (isToOpen) show(true, false);
  };
  if (document.body) put();
  else addEventListener("DOMContentLoaded", put);
})();
