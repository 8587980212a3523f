/** Feed: posts with pictures, a comment being written, friends being sought. */

import { escape } from "../html.mjs";
import { avatar, photo } from "../pictures.mjs";

function post(ui, spec, r, item, picture) {
  const { ui: words } = spec.content;
  const header = `<div class="sender">${avatar(spec.seed, item.name)}<div><b dir="auto">${escape(item.name)}</b><small>${escape(item.time)}</small></div><span class="grow"></span>${ui.icon("more")}</div>`;
  const actions = `<div class="post-actions"><span class="${item.liked ? "liked" : ""}">${ui.icon(item.liked ? "heart_fill" : "heart")} ${item.likes}</span><span>${ui.icon("comment")} ${item.replies}</span><span>${ui.icon("share")}</span><span class="grow"></span><span>${ui.icon("bookmark")}</span></div>`;
  const image = picture ? photo(spec.seed, `post ${item.text}`, r.pick(["wide", "tall", "wide"])) : "";
  return ui.card({ header, body: `${picture && r.chance(0.5) ? `${image}<p dir="auto">${escape(item.text)}</p>` : `<p dir="auto">${escape(item.text)}</p>${image}`}`, footer: `${actions}<small class="likes">${item.likes} ${escape(words.likes)}</small>` });
}

const stories = (ui, spec) => `<div class="stories">${spec.content.people.slice(0, 6).map((name) => `<div>${avatar(spec.seed, name, "ring")}<small dir="auto">${escape(name.split(" ")[0])}</small></div>`).join("")}</div>`;

const tabs = (ui, words, active) => ui.tabbar([{ icon: "home", label: words.home }, { icon: "search", label: words.explore }, { icon: "bell", label: words.notifications }, { icon: "person", label: words.profile }], active);

function timeline(ui, spec, r) {
  const { ui: words, posts } = spec.content;
  return ui.page({
    title: words.feed, large: r.chance(0.3), left: r.chance(0.5) ? "camera" : null, right: ["bell", "send"].slice(0, r.int(1, 2)), body: ui.stack([r.chance(0.6) ? stories(ui, spec) : "", posts.map((item, i) => post(ui, spec, r, item, i === 0 || r.chance(0.6))).join("")]),
    footer: tabs(ui, words, 0),
    fab: spec.look === "material" && r.chance(0.6) ? ui.fab("edit") : "",
  });
}

function commenting(ui, spec, r) {
  const { ui: words, posts, comments, people } = spec.content;
  const rows = comments.map((comment, i) => ui.row({ title: people[i + 2], body: comment, media: avatar(spec.seed, people[i + 2]), after: `<span class="when">${r.int(7, 22)}:${r.int(10, 59)}</span>` }));
  const rest = posts.slice(1).map((item) => post(ui, spec, r, item, true)).join("");
  return ui.page({
    title: words.comments, left: "back", backLabel: words.feed, right: ["more"], body: post(ui, spec, r, posts[0], r.chance(0.65)) + ui.list(rows, { media: true }) + (spec.keyboard ? "" : rest),
    footer: ui.messagebar({ placeholder: words.comment, value: spec.typed, focus: spec.focus, before: r.pick(["smile", "photo"]), after: "send" }),
  });
}

function friends(ui, spec) {
  const { ui: words, people, emails } = spec.content;
  const rows = people.slice(1, 8).map((name, i) => ui.row({ title: name, subtitle: emails[i + 1].replace(/@.*/, "").replace(/^/, "@"), media: avatar(spec.seed, name), end: `<span class="small-button ${i % 3 === 1 ? "quiet" : ""}">${escape(i % 3 === 1 ? words.connected : words.follow)}</span>` }));
  return ui.page({ title: words.find_friends, left: "back", right: [{ text: words.invite }], body: ui.stack([ui.form([ui.field({ label: words.email, placeholder: "name@example.com", value: spec.typed, focus: spec.focus, media: ui.icon("person_add") })]), ui.list(rows, { media: true, header: words.explore })]) });
}

function profile(ui, spec, r) {
  const { ui: words, posts, people } = spec.content;
  const name = posts[0].name;
  const figures = [[r.int(9, 400), words.feed], [r.int(40, 900), words.follow], [r.int(40, 900), words.likes]].map(([count, label]) => `<div><b>${count}</b><small dir="auto">${escape(label)}</small></div>`).join("");
  const pictures = `<div class="tiles">${[0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => photo(spec.seed, `profile${i}`)).join("")}</div>`;
  const own = r.chance(0.5) ? pictures : posts.map((item) => post(ui, spec, r, { ...item, name }, true)).join("");
  return ui.page({
    title: r.chance(0.5) ? name : words.profile, left: "back", right: ["more"],
    body: ui.stack([
      `<div class="portrait">${avatar(spec.seed, name, "huge")}<b dir="auto">${escape(name)}</b></div><div class="figures">${figures}</div>`, `<div class="pair actions-row">${ui.button(words.follow)}${ui.button(words.message, { kind: "outline" })}</div>`,
      r.chance(0.4) ? `<div class="stories">${people.slice(0, 5).map((person) => `<div>${avatar(spec.seed, person, "ring")}</div>`).join("")}</div>` : "", own,
    ]),
    footer: tabs(ui, words, 3),
  });
}

function posting(ui, spec, r) {
  const { ui: words, me } = spec.content;
  const picture = r.chance(0.5) ? `<div class="note-picture">${photo(spec.seed, "posting")}</div>` : "";
  const tools = r.chance(0.7) ? `<div class="tools-row">${["photo", "camera", "pin", "smile"].map((name) => ui.icon(name)).join("")}<span class="grow"></span>${ui.icon("globe")}</div>` : "";
  const author = `<div class="sender author">${avatar(spec.seed, me)}<div><b dir="auto">${escape(me)}</b><small dir="auto">${escape(words.feed)}</small></div></div>`;
  return ui.page({ title: r.chance(0.5) ? words.feed : "", left: r.chance(0.5) ? "close" : { text: words.cancel }, right: [{ text: words.share }], body: author + (r.chance(0.5) ? picture : "") + ui.area({ placeholder: words.comment, value: spec.typed, focus: spec.focus }) + tools });
}

export const views = { timeline, profile, commenting, posting, friends };

export function usual(spec) {
  if (spec.scene === "email") return "friends";
  return spec.scene === "browse" ? "timeline" : "commenting";
}
