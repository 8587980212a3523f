/** The structure of a template: what all screens of one template share, whatever texts and colours they have. */

import { random } from "./random.mjs";

// Of every choice, the options; an option that is there twice is taken twice as often. "own" leaves it to the kind.
const OPTIONS = {
  header: ["own", "large", "centered", "compact", "lined"],
  start: ["own", "own", "back", "menu", "close", "none"],
  actions: ["own", "own", "none", "one", "more", "two"],
  avatar: ["round", "round", "soft", "square", "none"],
  density: ["normal", "compact", "airy"],
  media: ["start", "start", "end"],
  lists: ["own", "inset", "flush", "cards"],
  dividers: ["own", "none", "thick"],
  corners: ["own", "sharp", "rounder"],
  tabs: ["own", "own", "none", "top", "all"],
  fab: ["own", "none", "end", "start", "middle"],
  search: ["own", "own", "top"],
  order: ["own", "turned", "shuffled"],
  details: ["own", "own", "one-line", "no-time"],
  buttons: ["own", "outline", "tonal", "side-by-side", "short"],
  cards: ["own", "outlined", "flat", "raised"],
  notice: ["none", "none", "top", "below"],
};
// Choices that style sheets follow, by the class that an element must have for the choice to show.
const STYLED = { avatar: 'class="avatar', density: "", dividers: "", corners: "", cards: "card", header: "", buttons: "button" };
const TABS = ["home", "search", "bell", "person"];

/** The choices of `template`; reading one notes that it shows on the screen. */
export class Layout {
  constructor(template) {
    const r = random(template, "layout");
    this.choices = Object.fromEntries(Object.entries(OPTIONS).map(([name, options]) => [name, r.pick(options)]));
    this.random = random(template, "order");
    this.read = new Set();
  }

  get(name) {
    this.read.add(name);
    return this.choices[name];
  }

  /** Classes of the root element, which css/layout.css answers to. */
  classes() {
    return Object.keys(STYLED).map((name) => `lay-${name}-${this.choices[name]}`).join(" ");
  }

  /** The choices that show on a page: two templates of one signature cannot be told apart by their structure. */
  signature(view, html) {
    for (const [name, needed] of Object.entries(STYLED)) if (html.includes(needed)) this.read.add(name);
    return [view, ...[...this.read].sort().map((name) => `${name}=${this.choices[name]}`)].join(" ");
  }
}

/** The widgets of a kit, arranged as `layout` says; the kinds use them as they use the kit's own. */
export function arranged(ui, spec, layout) {
  const { ui: words } = spec.content;
  let topTabs = "";
  const writing = spec.keyboard || spec.focus;

  function row(options) {
    const media = layout.get("avatar") === "none" && options.media?.includes('class="avatar') ? "" : options.media ?? "";
    const details = layout.get("details");
    const changed = { ...options, media, body: details === "one-line" && options.subtitle ? "" : options.body, after: details === "no-time" && options.after?.includes('class="when') ? "" : options.after };
    return ui.row(media && layout.get("media") === "end" && !options.end ? { ...changed, media: "", end: media } : changed);
  }

  function list(rows, options = {}) {
    const lists = layout.get("lists");
    if (lists === "cards") return rows.map((item) => ui.list([item], { ...options, inset: true, header: "", footer: "" })).join("").replace(/^/, options.header ? ui.list([], { header: options.header }) : "");
    return ui.list(rows, { ...options, inset: lists === "own" ? options.inset : lists === "inset" });
  }

  function tabbar(items, active) {
    const tabs = layout.get("tabs");
    if (tabs === "top") topTabs = `<div class="block tight">${ui.segmented(items.slice(0, 3).map((item) => item.label), Math.min(active, 2))}</div>`;
    return tabs === "none" || tabs === "top" ? "" : ui.tabbar(items, active);
  }

  function button(label, options = {}) {
    const { kind = "fill" } = options;
    const style = layout.get("buttons");
    return ui.button(label, { ...options, kind: kind === "fill" && (style === "outline" || style === "tonal") ? style : kind });
  }

  const labels = () => [words.home, words.explore, words.notifications, words.profile];
  const notice = () => `<div class="notice">${ui.icon("info")}<span dir="auto">${words.help}</span><b dir="auto">${words.next}</b></div>`;

  function page(options) {
    const plain = typeof options.title === "string" && !options.sub && !writing;
    const icons = options.right?.every((item) => typeof item === "string") ?? true;
    const actions = { own: options.right, none: [], one: options.right?.slice(0, 1), more: ["more"], two: ["share", "more"] }[icons ? layout.get("actions") : "own"];
    const left = typeof options.left === "object" && options.left !== null ? "own" : layout.get("start");
    const sub = plain && layout.get("search") === "top" ? ui.searchbar({ placeholder: words.search }) : options.sub;
    const large = plain && !sub ? { own: options.large, large: true }[layout.get("header")] ?? false : false;
    const footer = options.footer || (!writing && layout.get("tabs") === "all" ? ui.tabbar(TABS.map((name, i) => ({ icon: name, label: labels()[i] })), layout.random.int(0, 3)) : "");
    const floating = writing ? "none" : layout.get("fab");
    const fab = { own: options.fab ?? "", none: "" }[floating] ?? `<div class="fab-at ${floating}">${options.fab || ui.fab("add")}</div>`;
    const place = writing ? "none" : layout.get("notice");
    return ui.page({
      ...options, right: actions ?? [], left: left === "own" ? options.left : left === "none" ? null : left, sub, large, footer, fab,
      body: `${place === "top" ? notice() : ""}${topTabs}${options.body}${place === "below" ? notice() : ""}`,
    });
  }

  /** Blocks one under the other; what a template turns or shuffles are the blocks that have something in them. */
  function stack(blocks) {
    const order = writing ? "own" : layout.get("order");
    const shown = blocks.filter(Boolean);
    if (order === "shuffled") return layout.random.shuffle(shown).join("");
    return (order === "turned" ? [...shown.slice(1), ...shown.slice(0, 1)] : shown).join("");
  }

  return { ...ui, row, list, tabbar, button, page, stack, form: layout.get("lists") === "inset" ? (fields, options = {}) => ui.form(fields, { ...options, inset: true }) : ui.form };
}

/** The widgets of a kit for a screen without a template: as they are. */
export const unarranged = (ui) => ({ ...ui, stack: (blocks) => blocks.join("") });
