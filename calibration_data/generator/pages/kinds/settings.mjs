/** Settings: the overview, a search in it, the device's name, a PIN, the account's address, the display. */

import { escape } from "../html.mjs";
import { avatar } from "../pictures.mjs";

const COLORS = ["#ff9500", "#007aff", "#34c759", "#ff3b30", "#5856d6", "#ff2d55", "#8e8e93", "#30b0c7", "#af52de"];
const ENTRIES = [["airplane", "airplane", "toggle"], ["wifi", "wifi", "value"], ["bluetooth", "bluetooth", "on"], ["bell", "notifications", ""], ["sound", "sounds", ""], ["sun", "display", ""],
  ["battery", "battery", "percent"], ["storage", "storage", "used"], ["shield", "privacy", ""], ["person", "account", ""], ["globe", "language", ""], ["info", "about", ""]];

const glyph = (ui, spec, name, i) => (spec.look === "ios" ? `<span class="tile" style="background:${COLORS[i % COLORS.length]}">${ui.icon(name)}</span>` : ui.icon(name));

function entries(ui, spec, r, chosen) {
  const { ui: words, network } = spec.content;
  return chosen.map(([name, key, how], i) => {
    const values = { value: network, on: r.chance(0.5) ? words.on : words.off, percent: `${spec.status.battery}%`, used: `${r.int(20, 110)} GB` };
    return ui.row({ title: words[key], media: glyph(ui, spec, name, i + r.int(0, 1)), after: values[how] ? escape(values[how]) : "", end: how === "toggle" ? ui.toggle(r.chance(0.3)) : "", chevron: how !== "toggle" });
  });
}

function overview(ui, spec, r) {
  const { ui: words, people, emails } = spec.content;
  const me = ui.list([ui.row({ title: people[0], subtitle: emails[0], media: avatar(spec.seed, people[0], "big"), chevron: true })], { inset: true, media: true });
  const mixed = r.chance(0.5) ? ENTRIES : r.shuffle(ENTRIES);
  const groups = [mixed.slice(0, 3), mixed.slice(3, 7), mixed.slice(7)].map((part) => ui.list(entries(ui, spec, r, part), { inset: true }));
  const sub = spec.scene === "letters" || r.chance(0.5) ? ui.searchbar({ placeholder: words.search, value: spec.typed, focus: spec.focus, cancel: spec.focus ? words.cancel : "" }) : "";
  return ui.page({ title: words.settings, large: !spec.keyboard && !sub, left: r.chance(0.5) ? "back" : null, right: r.chance(0.5) ? ["help"] : [], sub, body: ui.stack([spec.keyboard ? "" : me, ...groups]), grouped: true });
}

function display(ui, spec, r) {
  const { ui: words } = spec.content;
  const slider = (name) => `<li class="slider">${ui.icon(name)}${ui.range(r.int(15, 90))}</li>`;
  return ui.page({
    title: words.display, left: "back", backLabel: words.settings, grouped: true,
    body: ui.stack([
      `<div class="themes">${[false, true].map((dark) => `<div class="theme ${dark ? "night" : "day"}"><div class="mini"><b></b><i></i><i></i><i></i></div><span>${escape(dark ? words.dark_mode : words.general)}</span></div>`).join("")}</div>`,
      ui.list([ui.row({ title: words.dark_mode, end: ui.toggle(spec.dark) })], { inset: true }), ui.list([slider("sun")], { inset: true, header: words.brightness }), ui.list([slider("text_size")], { inset: true, header: words.text_size }),
      ui.list(entries(ui, spec, r, ENTRIES.slice(3, 7)), { inset: true }),
    ]),
  });
}

function edit(ui, spec, r, isEmail) {
  const { ui: words, people, email } = spec.content;
  const label = isEmail ? words.email : words.device_name;
  const fields = [ui.field({ label, placeholder: label, value: spec.typed, focus: spec.focus, media: ui.icon(isEmail ? "mail" : "device") })];
  if (isEmail) fields.push(ui.field({ label: words.name, value: people[0], media: ui.icon("person") }));
  return ui.page({
    title: isEmail ? words.account : words.about, left: "back", backLabel: words.settings, right: [{ text: words.save }], grouped: true,
    body: ui.stack([
      isEmail ? `<div class="portrait">${avatar(spec.seed, people[0], "huge")}<b dir="auto">${escape(people[0])}</b></div>` : "", ui.form(fields, { inset: true, footer: isEmail ? email : "" }),
      ui.list(entries(ui, spec, r, r.shuffle(ENTRIES).slice(0, spec.keyboard ? 4 : 8)), { inset: true }),
    ]),
  });
}

function pin(ui, spec) {
  const { ui: words } = spec.content;
  const dots = [0, 1, 2, 3].map((i) => `<span class="${i === spec.typed.length ? "current" : ""}">${escape(spec.typed[i] ?? "")}</span>`).join("");
  return ui.page({
    title: words.security, left: "back", backLabel: words.settings, grouped: true,
    body: `<div class="lock">${ui.icon("lock")}</div><h1 class="welcome" dir="auto">${escape(words.pin_title)}</h1><div class="cells four" dir="ltr" data-box="input">${dots}<input class="unseen" value="${escape(spec.typed)}" ${spec.focus ? "data-focus" : ""}></div><div class="actions">${ui.button(words.next)}${ui.button(words.cancel, { kind: "plain" })}</div>`,
  });
}

export const views = { overview, display, pin, rename: (ui, spec, r) => edit(ui, spec, r, false), account: (ui, spec, r) => edit(ui, spec, r, true) };

export function usual(spec, r) {
  if (spec.scene === "number") return "pin";
  if (spec.scene === "email" || spec.content.renames) return spec.scene === "email" ? "account" : "rename";
  return spec.scene === "browse" && r.chance(0.4) ? "display" : "overview";
}
