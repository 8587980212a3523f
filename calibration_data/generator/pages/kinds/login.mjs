/** Log in and sign up: an address, a name, or a code or number on the digit keys. */

import { escape } from "../html.mjs";
import { photo } from "../pictures.mjs";
import { random } from "../random.mjs";

function logo(spec, app) {
  const r = random(spec.seed, "logo");
  const shape = r.pick([
    '<circle cx="24" cy="24" r="11"/>', '<path d="M24 10 L38 36 H10Z"/>', '<rect x="13" y="13" width="22" height="22" rx="6" transform="rotate(45 24 24)"/>',
    '<path d="M12 28 q6 -22 12 -8 t12 -8" fill="none" stroke="#fff" stroke-width="6" stroke-linecap="round"/>', '<path d="M24 38 C4 24 14 8 24 18 C34 8 44 24 24 38Z"/>',
  ]);
  return `<div class="brand ${r.chance(0.4) ? "side" : ""}"><svg width="72" height="72" viewBox="0 0 48 48"><rect width="48" height="48" rx="${r.pick([10, 14, 24])}" fill="var(--accent)"/><g fill="#fff">${shape}</g></svg><h1>${escape(app)}</h1></div>`;
}

const others = (ui, words) => `<div class="or"><span>${escape(words.or)}</span></div><div class="pair three">${["mail", "phone", "key"].map((name) => `<span class="round-button">${ui.icon(name)}</span>`).join("")}</div>`;

function access(ui, spec, r) {
  const { ui: words, app, tagline, email } = spec.content;
  const typingEmail = spec.scene === "email";
  const fields = [
    ui.field({ label: words.email, placeholder: "name@example.com", value: typingEmail ? spec.typed : r.chance(0.5) ? email : "", type: "email", focus: typingEmail && spec.focus, media: ui.icon("mail") }),
    ui.field({ label: words.password, placeholder: words.password, value: r.chance(0.4) ? "correcthorse" : "", type: "password", media: ui.icon("lock") }),
  ];
  const stay = ui.list([ui.row({ title: words.remember, end: ui.toggle(r.chance(0.5)) })], { inset: true });
  const hero = !spec.keyboard && r.chance(0.6) ? `<div class="hero">${photo(spec.seed, "hero")}</div>` : "";
  return ui.page({
    title: words.login, left: r.chance(0.7) ? "back" : null, right: r.chance(0.3) ? ["help"] : [], grouped: spec.look === "ios",
    body: `${hero}${logo(spec, app)}<p class="tagline" dir="auto">${escape(tagline)}</p>${ui.form(fields, { inset: true })}${spec.keyboard ? "" : stay}
      <div class="actions">${ui.button(words.login)}${ui.button(words.forgot, { kind: "plain" })}</div>${spec.keyboard ? "" : `${others(ui, words)}<div class="actions">${ui.button(words.create_account, { kind: "outline" })}</div>`}`,
  });
}

function register(ui, spec, r) {
  const { ui: words, app, tagline, email } = spec.content;
  const fields = [
    ui.field({ label: words.name, placeholder: words.name, value: spec.typed, focus: spec.focus, media: ui.icon("person") }),
    ui.field({ label: words.email, placeholder: "name@example.com", value: r.chance(0.5) ? email : "", type: "email", media: ui.icon("mail") }),
    ui.field({ label: words.password, placeholder: words.password, type: "password", media: ui.icon("lock") }),
  ];
  const inset = r.chance(0.6);
  return ui.page({
    title: words.sign_up, left: "back", grouped: spec.look === "ios", right: [{ text: words.login }],
    body: `${r.chance(0.5) ? logo(spec, app) : `<h1 class="welcome" dir="auto">${escape(tagline)}</h1>`}${ui.form(fields, { inset })}<div class="actions">${ui.button(words.create_account)}</div>${spec.keyboard ? "" : others(ui, words)}`,
  });
}

function phone(ui, spec) {
  const { ui: words, phone: placeholder, app } = spec.content;
  return ui.page({
    title: words.phone, left: "back", right: [{ text: words.next }], grouped: spec.look === "ios",
    body: `${logo(spec, app)}${ui.form([ui.field({ label: words.phone, placeholder, value: spec.typed, type: "tel", focus: spec.focus, media: ui.icon("phone") })], { inset: true, footer: words.code_hint })}<div class="actions">${ui.button(words.next)}${ui.button(words.help, { kind: "plain" })}</div>`,
  });
}

function code(ui, spec, r) {
  const { ui: words, phone: number, app } = spec.content;
  const cells = [0, 1, 2, 3, 4, 5].map((i) => `<span class="${i === spec.typed.length ? "current" : ""}">${escape(spec.typed[i] ?? "")}</span>`).join("");
  return ui.page({
    title: words.security, left: "back", grouped: spec.look === "ios",
    body: `${r.chance(0.5) ? logo(spec, app) : ""}<h1 class="welcome" dir="auto">${escape(words.code_title)}</h1><p class="tagline" dir="auto">${escape(words.code_hint)}<br><span dir="ltr">${escape(number)}</span></p>
      <div class="cells" dir="ltr" data-box="input">${cells}<input class="unseen" value="${escape(spec.typed)}" ${spec.focus ? "data-focus" : ""}></div><div class="actions">${ui.button(words.next)}${ui.button(words.resend, { kind: "plain" })}</div>`,
  });
}

export const views = { access, register, phone, code };

export function usual(spec) {
  if (spec.scene === "number") return spec.content.numberKind === "phone" ? "phone" : "code";
  return spec.scene === "letters" ? "register" : "access";
}
