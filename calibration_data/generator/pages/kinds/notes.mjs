/** Notes: the list, a page being written, a checklist, a note being shared. */

import { escape } from "../html.mjs";
import { avatar, photo } from "../pictures.mjs";

const TINTS = [48, 140, 200, 330, 20, 270, 90];

function overview(ui, spec, r) {
  const { ui: words, notes } = spec.content;
  const cards = r.chance(0.6);
  const stamp = (i) => (i === 0 ? words.today : i === 1 ? words.yesterday : `${r.int(2, 28)}.${r.int(1, 12)}.`);
  const body = cards
    ? `<div class="sticky-notes">${notes.map((note, i) => `<div style="--tint:${TINTS[(i + r.int(0, 6)) % TINTS.length]}"><b dir="auto">${escape(note.title)}</b>${note.lines.slice(0, r.int(2, 4)).map((line) => `<p dir="auto">${escape(line)}</p>`).join("")}${r.chance(0.25) ? photo(spec.seed, `note${i}`) : ""}<small>${escape(stamp(i))}</small></div>`).join("")}</div>`
    : ui.list(notes.map((note, i) => ui.row({ title: note.title, subtitle: note.lines[0], body: note.lines.slice(1).join(", "), after: `<span class="when">${escape(stamp(i))}</span>`, media: r.chance(0.3) ? photo(spec.seed, `note${i}`, "square") : "" })), { media: true, inset: spec.look === "ios" });
  return ui.page({ title: words.notes, large: r.chance(0.7), left: "folder", right: ["grid", "more"], grouped: !cards, body: `${r.chance(0.5) ? `<div class="chips">${[words.all, words.starred, words.folders].map((label, i) => ui.chip(label, i === 0)).join("")}</div>` : ""}${body}`, fab: ui.fab("add"),
  });
}

function writing(ui, spec, r) {
  const { ui: words, note } = spec.content;
  const tools = `<div class="tools-row">${["text_size", "bold", "italic", "list", "photo"].map((name) => ui.icon(name)).join("")}<span class="grow"></span>${ui.icon("undo")}</div>`;
  const before = note.lines.join("\n");
  const picture = r.chance(0.35) ? `<div class="note-picture">${photo(spec.seed, "note")}</div>` : "";
  return ui.page({
    title: r.chance(0.5) ? words.new_note : words.notes, left: "back", backLabel: words.notes, right: r.chance(0.5) ? [{ text: words.done }] : ["share", "more"],
    body: `<div class="note-head"><h1 dir="auto">${escape(note.title)}</h1><small>${escape(words.edited)}</small></div>${picture}${r.chance(0.5) ? tools : ""}${ui.area({ value: `${before}\n${spec.typed}`, focus: spec.focus })}`,
    className: `paper-page tint${r.int(0, 3)}`,
  });
}

function checklist(ui, spec, r) {
  const { ui: words, note } = spec.content;
  const rows = note.lines.map((line, i) => ui.row({ title: line, media: ui.check(i < r.int(0, 2)) }));
  rows.push(ui.field({ placeholder: words.new_note, value: spec.typed, focus: spec.focus, media: ui.icon("add") }));
  return ui.page({ title: note.title, left: "back", backLabel: words.notes, right: [{ text: words.done }], body: `${ui.form(rows)}<p class="list-footer">${escape(words.edited)}</p>`, grouped: true, className: "checklist" });
}

function sharing(ui, spec, r) {
  const { ui: words, note, people, emails } = spec.content;
  const rows = people.slice(0, 5).map((name, i) => ui.row({ title: name, subtitle: emails[i], media: avatar(spec.seed, name), end: ui.check(i === 0 || r.chance(0.3)) }));
  return ui.page({
    title: words.share_with, left: { text: words.cancel }, right: [{ text: words.send }],
    body: `${ui.card({ body: `<div class="found"><div><h3 dir="auto">${escape(note.title)}</h3><p dir="auto">${escape(note.lines[0])}</p></div>${photo(spec.seed, "shared", "thumb")}</div>` })}${ui.form([ui.field({ label: words.email, placeholder: "name@example.com", value: spec.typed, focus: spec.focus, media: ui.icon("person_add") })])}${ui.list(rows, { media: true })}`,
  });
}

export const views = { overview, writing, checklist, sharing };

export function usual(spec, r) {
  if (spec.scene === "email") return "sharing";
  if (spec.scene === "browse") return "overview";
  return r.chance(0.6) ? "writing" : "checklist";
}
