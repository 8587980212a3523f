/** One whole phone screen as HTML: status bar, the app, the keyboard, the system's navigation bar. */

import { escape } from "./html.mjs";
import { keyboardOptions } from "./keyboard.mjs";
import { viewOf } from "./kinds/index.mjs";
import { framework7 } from "./kits/framework7.mjs";
import { onsenui } from "./kits/onsenui.mjs";
import { weui } from "./kits/weui.mjs";
import { arranged, Layout, unarranged } from "./layout.mjs";
import { resetPictures } from "./pictures.mjs";
import { random } from "./random.mjs";

const KITS = { framework7, onsenui, weui };

function statusBar(spec) {
  const { time, battery, signal, network } = spec.status;
  const bars = [0, 1, 2, 3].map((i) => `<rect x="${i * 4.6}" y="${9 - i * 3}" width="3.2" height="${3 + i * 3}" rx="1" opacity="${i < signal ? 1 : 0.3}"/>`).join("");
  const signalIcon = spec.look === "ios" ? `<svg width="18" height="12" viewBox="0 0 18 12" fill="currentColor">${bars}</svg>`
    : `<svg width="15" height="13" viewBox="0 0 15 13" fill="currentColor"><path d="M14 0 V13 H1Z" opacity=".3"/><path d="M${1 + 3.25 * signal} ${13 - 3.25 * signal} V13 H1Z"/></svg>`;
  const wifi = '<svg width="17" height="12" viewBox="0 0 17 12" fill="currentColor"><path d="M8.500 12 L0 3.200 A12 12 0 0 1 17 3.200Z"/></svg>';
  const fill = battery > 20 ? "currentColor" : "#ff3b30";
  const cell = spec.look === "ios"
    ? `<svg width="27" height="13" viewBox="0 0 27 13"><rect x=".5" y=".5" width="23" height="12" rx="3.800" fill="none" stroke="currentColor" opacity=".5"/><rect x="25" y="4" width="1.800" height="5" rx="1" fill="currentColor" opacity=".5"/><rect x="2" y="2" width="${(20 * battery) / 100}" height="9" rx="2.400" fill="${fill}"/></svg>`
    : `<svg width="9" height="14" viewBox="0 0 9 14"><rect x="3" y="0" width="3" height="2" fill="currentColor"/><rect x="0" y="1.500" width="9" height="12.500" rx="1.500" fill="currentColor" opacity=".3"/><rect x="0" y="${14 - (12.5 * battery) / 100}" width="9" height="${(12.5 * battery) / 100}" rx="1.500" fill="${fill}"/></svg>`;
  const net = network === "wifi" ? wifi : `<b>${escape(network)}</b>`;
  return `<div id="status" data-box="status" dir="ltr"><span class="clock">${escape(time)}</span><span class="signs">${net}${signalIcon}${spec.look === "ios" ? "" : `<small>${battery}%</small>`}${cell}</span></div>`;
}

const navigation = (spec) => (spec.look === "material" && spec.buttons
  ? '<div id="nav" class="buttons"><svg width="18" height="18" viewBox="0 0 18 18" fill="currentColor"><path d="M14 2 V16 L3 9Z"/></svg><svg width="18" height="18" viewBox="0 0 18 18" fill="currentColor"><circle cx="9" cy="9" r="7"/></svg><svg width="18" height="18" viewBox="0 0 18 18" fill="currentColor"><rect x="3" y="3" width="12" height="12" rx="1.500"/></svg></div>'
  : '<div id="nav"><span class="pill"></span></div>');

function keyboard(options, spec) {
  if (!options) return "";
  const words = options.strip === null ? "" : `<div class="strip ${options.strip.length ? "" : "tools"}">${options.strip.map((word) => `<span dir="auto">${escape(word)}</span>`).join("")}</div>`;
  const below = spec.look === "ios" && options.form !== "pad" ? `<div class="below">${options.display["{globe}"]}${options.display["{mic}"]}</div>` : "";
  return `<div id="keyboard" data-box="keyboard" dir="ltr" class="${options.style} ${options.form}" style="--key:${options.height}px">${words}<div class="simple-keyboard"></div>${below}</div>`;
}

/** What a document needs before a screen can be drawn in it; screens of one `key` may follow each other in one document. */
export function headOf(spec) {
  const head = KITS[spec.kit].head(spec);
  const styles = [...head.styles.map((path) => `/kits/${path}`), "/kits/framework7-icons/css/framework7-icons.css", "/kits/onsenui/css/material-design-iconic-font/css/material-design-iconic-font.min.css",
    "/kits/simple-keyboard/build/css/index.css", "/pages/css/phone.css", "/pages/css/keyboard.css", `/pages/css/${spec.kit}.css`, "/pages/css/kinds.css", "/pages/css/layout.css"];
  const scripts = [...head.scripts, "simple-keyboard/build/index.js"].map((path) => `/kits/${path}`);
  const html = `<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
${styles.map((path) => `<link rel="stylesheet" href="${path}">`).join("\n")}
${scripts.map((path) => `<script src="${path}"></script>`).join("\n")}<script>${head.early}</script>`;
  return { key: [spec.look, ...styles, head.early].join(" "), html };
}

/** The screen of `spec` (see plan.py): the root element's attributes, what the body holds, and what starts kit and keyboard. */
export function screenOf(spec) {
  resetPictures();
  const kit = KITS[spec.kit];
  const head = kit.head(spec);
  const layout = spec.template ? new Layout(spec.template) : null;
  const ui = layout ? arranged(kit(spec), spec, layout) : unarranged(kit(spec));
  const r = random(spec.template ?? spec.seed, spec.kind);
  const { name, draw } = viewOf(spec, r);
  const app = draw(ui, spec, r);
  const keys = keyboardOptions(spec);
  const [h, s, l] = spec.accentHsl;
  const classes = [spec.look, spec.dark ? "dark" : "light", `kit-${spec.kit}`, `kind-${spec.kind}`, spec.keyboard ? "typing" : "", spec.toolbar, spec.shade, ...(layout ? [layout.classes()] : [])].join(" ");
  const style = `--accent:${spec.accent};--accent-h:${h};--accent-s:${s}%;--accent-l:${l}%;--text-scale:${spec.textScale}`;
  return {
    attributes: { lang: spec.language, dir: spec.direction, class: classes, style },
    body: `${statusBar(spec)}<div id="app">${app}</div>${keyboard(keys, spec)}${navigation(spec)}`,
    keyboard: keys,
    start: head.start,
    again: head.again,
    signature: layout ? layout.signature(name, app) : null,
  };
}

/** The page of `spec` (see plan.py): self-contained but for the kits' files below /kits/ and the style sheets beside this file. */
export function pageOf(spec) {
  const { attributes: root, body, keyboard: keys, start } = screenOf(spec);
  const attributes = Object.entries(root).map(([name, value]) => `${name}="${value}"`).join(" ");
  return `<!doctype html><html ${attributes}>
<head>${headOf(spec).html}</head>
<body>${body}
<script>window.KEYBOARD = ${JSON.stringify(keys).replace(/</g, "\\u003c")};
window.startKit = () => { ${start} };</script><script src="/pages/in_page.js"></script></body></html>`;
}

/** A document without a screen, for all screens whose head has one key: `window.showScreen` puts them into it (in_shell.js). */
export const shellOf = (head) => `<!doctype html><html><head><script src="/pages/in_shell.js"></script>${head}<script src="/pages/in_page.js"></script></head><body></body></html>`;
