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

function timeline(ui, spec, r) {
  const { ui: words, posts } = spec.content;
  return ui.page({
    title: words.feed, large: r.chance(0.3), left: r.chance(0.5) ? "camera" : null, right: ["bell", "send"].slice(0, r.int(1, 2)), body: (r.chance(0.6) ? stories(ui, spec) : "") + posts.map((item, i) => post(ui, spec, r, item, i === 0 || r.chance(0.6))).join(""),
    footer: ui.tabbar([{ icon: "home", label: words.home }, { icon: "search", label: words.explore }, { icon: "bell", label: words.notifications }, { icon: "person", label: words.profile }], 0),
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
  return ui.page({ title: words.find_friends, left: "back", right: [{ text: words.invite }], body: ui.form([ui.field({ label: words.email, placeholder: "name@example.com", value: spec.typed, focus: spec.focus, media: ui.icon("person_add") })]) + ui.list(rows, { media: true, header: words.explore }) });
}

export function feed(ui, spec, r) {
  if (spec.scene === "email") return friends(ui, spec);
  return spec.scene === "browse" ? timeline(ui, spec, r) : commenting(ui, spec, r);
}
