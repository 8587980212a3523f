/** Chat: a conversation with a half-typed reply, the list of conversations, or whom to write to. */

import { escape } from "../html.mjs";
import { avatar, photo } from "../pictures.mjs";

function conversation(ui, spec, r) {
  const { ui: words, person, turns } = spec.content;
  const faces = r.chance(0.7);
  const withPhoto = r.chance(0.45) ? r.int(1, turns.length - 2) : -1;
  const items = [{ title: `${r.chance(0.5) ? words.today : words.yesterday} ${spec.status.time}` }];
  turns.forEach((turn, i) => {
    const next = turns[i + 1];
    const face = faces && !turn.me ? avatar(spec.seed, person, "small") : "";
    items.push({ me: turn.me, body: turn.text, face, tail: !next || next.me !== turn.me });
    if (i === withPhoto) items.push({ me: turn.me, body: "", image: photo(spec.seed, `chat${i}`), face, tail: true });
  });
  const header = r.chance(0.6) ? { html: `<span class="who">${avatar(spec.seed, person, "tiny")}<span dir="auto">${escape(person)}</span></span>` } : person;
  return ui.page({
    title: header, subtitle: typeof header === "string" && r.chance(0.6) ? words.online : "", left: "back", backLabel: words.chats,
    right: r.pick([["video", "phone"], ["phone"], ["more"], ["search", "more"]]),
    body: `<div class="wallpaper paper${r.int(0, 5)}">${ui.messages(items)}</div>`,
    footer: ui.messagebar({ placeholder: words.message, value: spec.typed, focus: spec.focus, before: r.pick(["attach", "camera", "add", "smile"]), after: spec.typed ? "send" : r.pick(["mic", "send"]) }),
    className: "conversation",
  });
}

function conversations(ui, spec, r) {
  const { ui: words, chats } = spec.content;
  const rows = chats.map((chat, i) => ui.row({
    title: chat.name, body: chat.last, after: `<span class="when">${escape(chat.time)}</span>`,
    media: avatar(spec.seed, chat.name), end: i < 3 && r.chance(0.6) ? ui.badge(r.int(1, 9)) : "",
  }));
  const chips = r.chance(0.5) ? `<div class="chips">${[words.all, words.unread, words.contacts].map((label, i) => ui.chip(label, i === 0)).join("")}</div>` : "";
  return ui.page({
    title: words.chats, large: r.chance(0.7), left: "menu", right: ["edit"], body: ui.stack([chips, ui.list(rows, { media: true })]), fab: spec.look === "material" ? ui.fab("chat") : "",
    footer: ui.tabbar([{ icon: "chat", label: words.chats }, { icon: "phone", label: words.calls }, { icon: "person", label: words.contacts }, { icon: "menu", label: words.settings }], 0),
  });
}

function recipient(ui, spec, r) {
  const { ui: words, people, emails } = spec.content;
  const rows = people.slice(0, 7).map((name, i) => ui.row({ title: name, subtitle: emails[i], media: avatar(spec.seed, name), end: ui.check(i === r.int(0, 4)) }));
  return ui.page({
    title: words.new_message, left: { text: words.cancel }, right: [{ text: words.next }],
    body: ui.stack([ui.form([ui.field({ label: words.to, placeholder: words.email, value: spec.typed, type: "email", focus: spec.focus, media: r.chance(0.5) ? ui.icon("person_add") : "" })]), ui.list(rows, { media: true, header: words.contacts })]),
  });
}

export const views = { conversation, conversations, recipient };

export function usual(spec, r) {
  if (spec.scene === "email") return "recipient";
  return spec.scene === "browse" && r.chance(0.6) ? "conversations" : "conversation";
}
