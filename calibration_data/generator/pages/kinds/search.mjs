/** Search: suggestions while typing, results of the web, a map, or people found by address. */

import { escape } from "../html.mjs";
import { avatar, map, photo } from "../pictures.mjs";

const bar = (ui, spec, value = spec.typed) => ui.searchbar({ placeholder: spec.content.ui.search, value, focus: spec.focus, cancel: spec.focus ? spec.content.ui.cancel : "" });

function suggesting(ui, spec, r) {
  const { ui: words, suggestions, recent } = spec.content;
  const rows = suggestions.map((title) => ui.row({ title, media: ui.icon("search"), end: r.chance(0.7) ? ui.icon("arrow_fill") : "" }));
  const old = recent.map((title) => ui.row({ title, media: ui.icon("clock") }));
  const pictures = r.chance(0.4) ? `<div class="strip-pictures">${[0, 1, 2, 3].map((i) => photo(spec.seed, `strip${i}`)).join("")}</div>` : "";
  return ui.page({ title: words.search, left: r.chance(0.5) ? "back" : null, right: r.chance(0.5) ? ["mic"] : [], sub: bar(ui, spec), body: ui.stack([ui.list(rows), pictures, ui.list(old, { header: words.recent })]) });
}

function results(ui, spec, r) {
  const { ui: words, query, results: found } = spec.content;
  const cards = found.map(([title, snippet], i) => {
    const picture = r.chance(0.4) ? photo(spec.seed, `result${i}`, "thumb") : "";
    const site = `<small class="site">${ui.icon("globe")} ${escape(["example.org", "guide.example", "news.example", "wiki.example"][(i + r.int(0, 3)) % 4])}</small>`;
    return ui.card({ body: `<div class="found"><div>${site}<h3 dir="auto">${escape(title)}</h3><p dir="auto">${escape(snippet)}</p></div>${picture}</div>` });
  });
  const gallery = `<div class="strip-pictures">${[0, 1, 2].map((i) => photo(spec.seed, `gallery${i}`)).join("")}</div>`;
  cards.splice(r.int(0, 2), 0, gallery);
  const filters = `<div class="chips">${[words.all, words.images, words.news, words.maps, words.videos].map((label, i) => ui.chip(label, i === 0)).join("")}</div>`;
  return ui.page({ title: words.search, left: "back", right: ["mic", "more"], sub: bar(ui, spec, spec.focus ? spec.typed : query), body: ui.stack([filters, ...cards]) });
}

function mapped(ui, spec, r) {
  const { ui: words, results: found, suggestions } = spec.content;
  const rows = found.map(([title, snippet], i) => ui.row({ title, body: snippet, media: photo(spec.seed, `place${i}`, "square"), after: `<span class="when">${r.int(1, 9)}.${r.int(0, 9)} km</span>` }));
  const near = spec.focus ? suggestions.slice(0, 4).map((title) => ui.row({ title, media: ui.icon("pin") })) : rows;
  return ui.page({ title: words.maps, left: "back", right: ["filter"], sub: bar(ui, spec, spec.focus ? spec.typed : spec.content.query), body: ui.stack([map(spec.seed, spec.dark), ui.list(near, { media: !spec.focus })]) });
}

function people(ui, spec, r) {
  const { ui: words, people: names, emails } = spec.content;
  const rows = names.slice(0, 8).map((name, i) => ui.row({ title: name, subtitle: emails[i], media: avatar(spec.seed, name), end: r.chance(0.5) ? ui.icon("person_add") : "" }));
  return ui.page({ title: words.contacts, left: "back", right: ["filter"], sub: bar(ui, spec), body: ui.list(rows, { media: true, header: words.results }) });
}

export const views = { suggesting, results, mapped, people };

export function usual(spec, r) {
  if (spec.scene === "email") return "people";
  if (spec.scene !== "number" && spec.content.mappable && r.chance(0.7)) return "mapped";
  return spec.scene === "browse" ? "results" : "suggesting";
}
