/** Mail: an inbox, a message being read, or one being written. */

import { escape, lines } from "../html.mjs";
import { avatar, photo } from "../pictures.mjs";

function inbox(ui, spec, r) {
  const { ui: words, messages } = spec.content;
  const faces = r.chance(0.65);
  const rows = messages.map((message) => ui.row({
    title: message.from, subtitle: message.subject, body: message.preview, after: `<span class="when">${escape(message.time)}</span>`,
    media: faces ? avatar(spec.seed, message.from) : message.unread ? '<span class="dot"></span>' : '<span class="dot none"></span>',
    end: message.starred ? `<span class="star">${ui.icon("star")}</span>` : "",
  }));
  return ui.page({
    title: words.inbox, large: r.chance(0.6), left: "menu", right: ["search", "more"], body: ui.stack([r.chance(0.5) ? `<div class="block tight">${ui.segmented([words.all, words.unread, words.starred], r.int(0, 2))}</div>` : "", ui.list(rows, { media: true })]),
    fab: spec.look === "material" ? ui.fab("edit") : "",
    footer: ui.tabbar([{ icon: "inbox", label: words.inbox }, { icon: "star_empty", label: words.starred }, { icon: "drafts", label: words.drafts }, { icon: "send", label: words.sent }], 0),
  });
}

function reading(ui, spec, r) {
  const { ui: words, messages, draft } = spec.content;
  const [first, ...others] = messages;
  const attached = r.chance(0.6) ? `<div class="attached">${photo(spec.seed, "attached")}</div>` : "";
  const rows = others.slice(0, 2).map((message) => ui.row({ title: message.from, body: message.preview, media: avatar(spec.seed, message.from), after: `<span class="when">${escape(message.time)}</span>` }));
  return ui.page({
    title: words.inbox, left: "back", right: ["archive", "trash", "more"],
    body: `<div class="letter"><h2 dir="auto">${escape(first.subject)}</h2><div class="sender">${avatar(spec.seed, first.from)}<div><b dir="auto">${escape(first.from)}</b><small dir="auto">${escape(words.to)}: ${escape(spec.content.me)}</small></div></div>
      <p dir="auto">${escape(first.preview)}</p><p dir="auto">${lines(draft.body)}</p>${attached}<div class="pair">${ui.button(words.reply, { kind: "outline", iconName: "reply" })}${ui.button(words.forward, { kind: "outline", iconName: "forward" })}</div></div>${ui.list(rows, { media: true })}`,
  });
}

function compose(ui, spec, r) {
  const { ui: words, draft, emails, people } = spec.content;
  const toField = spec.scene === "email";
  const fields = [
    ui.field({ label: words.to, value: toField ? spec.typed : emails[0], focus: toField && spec.focus, type: "email" }),
    ui.field({ label: words.subject, value: draft.subject }),
  ];
  const body = toField ? draft.body : `${draft.body}\n\n${spec.typed}`;
  const suggestions = toField ? ui.list(people.slice(0, 3).map((name, i) => ui.row({ title: name, subtitle: emails[i], media: avatar(spec.seed, name) })), { media: true }) : "";
  const writing = toField ? `<div class="writing readonly" dir="auto">${lines(body)}</div>` : ui.area({ placeholder: words.write_mail, value: spec.scene === "number" || spec.typed ? body : "", focus: spec.focus });
  const tools = !toField && r.chance(0.45) ? `<div class="tools-row">${["text_size", "bold", "italic", "list", "photo"].map((name) => ui.icon(name)).join("")}<span class="grow"></span>${ui.icon("undo")}</div>` : "";
  const files = !toField && r.chance(0.45) ? `<div class="strip-pictures files">${[0, 1, 2].slice(0, r.int(1, 3)).map((i) => photo(spec.seed, `file${i}`)).join("")}</div>` : "";
  return ui.page({ title: r.chance(0.6) ? words.new_message : draft.subject, left: r.chance(0.5) ? "close" : { text: words.cancel }, right: spec.look === "ios" ? ["attach", "send"] : ["attach", "send", "more"], body: ui.form(r.chance(0.75) || toField ? fields : fields.slice(1)) + tools + suggestions + (r.chance(0.5) ? files + writing : writing + files), className: "compose" });
}

export const views = { inbox, reading, compose };

export function usual(spec, r) {
  if (spec.scene !== "browse") return "compose";
  return r.chance(0.55) ? "inbox" : "reading";
}
