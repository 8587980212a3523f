/** Shop: a grid of products, one product, the cart, the checkout. */

import { escape } from "../html.mjs";
import { product } from "../pictures.mjs";

const stars = (ui, r) => `<span class="stars">${[0, 1, 2, 3, 4].map((i) => ui.icon(i < r.int(3, 5) ? "star" : "star_empty")).join("")}</span>`;

const tabs = (ui, words, active) => ui.tabbar([{ icon: "home", label: words.shop }, { icon: "heart", label: words.favorites }, { icon: "cart", label: words.cart }, { icon: "person", label: words.account }], active);

function tile(ui, spec, r, item) {
  const sale = item.old ? `<del>${escape(item.old)}</del>` : "";
  return `<div class="tile-product">${product(spec.seed, item.index)}${item.old ? `<span class="flag">${escape(spec.content.ui.sale)}</span>` : ""}<div class="tile-text"><span dir="auto">${escape(item.name)}</span><b>${escape(item.price)}</b>${sale}${r.chance(0.5) ? stars(ui, r) : ""}</div></div>`;
}

function grid(ui, spec, r) {
  const { ui: words, products } = spec.content;
  const sub = ui.searchbar({ placeholder: words.search, value: spec.typed, focus: spec.focus, cancel: spec.focus ? words.cancel : "" });
  const chips = `<div class="chips">${[words.all, words.sale, words.favorites, words.in_stock].map((label, i) => ui.chip(label, i === 0)).join("")}</div>`;
  const banner = !spec.keyboard && r.chance(0.5) ? `<div class="banner"><b>${escape(words.sale)} −${r.pick([20, 30, 50])} %</b><span>${escape(words.free_shipping)}</span></div>` : "";
  const columns = r.pick([2, 2, 3]);
  return ui.page({ title: words.shop, left: "menu", right: ["heart", "cart"], sub, body: ui.stack([chips, banner, `<div class="products c${columns}">${products.map((item) => tile(ui, spec, r, item)).join("")}</div>`]), footer: spec.keyboard ? "" : tabs(ui, words, 0) });
}

function detail(ui, spec, r) {
  const { ui: words, products, text } = spec.content;
  const [item, ...others] = products;
  const swatches = `<div class="swatches">${[0, 1, 2, 3].map((i) => `<i style="background:hsl(${(spec.accentHsl[0] + i * 70) % 360} 45% 55%)" class="${i === 0 ? "active" : ""}"></i>`).join("")}</div>`;
  return ui.page({
    title: words.shop, left: "back", right: ["share", "cart"],
    body: `<div class="hero-product">${product(spec.seed, item.index)}</div><div class="letter"><h2 dir="auto">${escape(item.name)}</h2><div class="price"><b>${escape(item.price)}</b>${item.old ? `<del>${escape(item.old)}</del>` : ""}<span class="grow"></span>${stars(ui, r)}</div>${swatches}<p dir="auto">${escape(text)}</p><small>${ui.icon("truck")} ${escape(words.delivery)} · ${escape(words.free_shipping)}</small></div>
      <div class="actions">${ui.button(words.add_to_cart, { iconName: "cart" })}${ui.button(words.buy, { kind: "outline" })}</div><div class="products c3">${others.slice(0, 3).map((other) => tile(ui, spec, r, other)).join("")}</div>`,
  });
}

function cart(ui, spec, r) {
  const { ui: words, products, total } = spec.content;
  const rows = products.slice(0, 4).map((item) => ui.row({ title: item.name, subtitle: item.price, media: product(spec.seed, item.index, "square"), end: ui.stepper(r.int(1, 3)) }));
  return ui.page({
    title: words.cart, large: r.chance(0.5), left: "back", right: ["trash"], grouped: true,
    body: ui.stack([ui.list(rows, { media: true }), ui.list([ui.row({ title: words.shipping, after: escape(words.free_shipping) }), ui.row({ title: words.total, after: `<b>${escape(total)}</b>` })], { inset: true }), `<div class="actions">${ui.button(words.checkout, { iconName: "lock" })}</div>`]),
    footer: tabs(ui, words, 2),
  });
}

function checkout(ui, spec, r) {
  const { ui: words, products, people, total, address } = spec.content;
  const isEmail = spec.scene === "email";
  const focused = { value: spec.typed, focus: spec.focus };
  const fields = isEmail
    ? [ui.field({ label: words.email, placeholder: "name@example.com", media: ui.icon("mail"), ...focused }), ui.field({ label: words.name, value: people[0], media: ui.icon("person") }), ui.field({ label: words.city, value: address.city, media: ui.icon("pin") })]
    : [ui.field({ label: words.name, value: people[0], media: ui.icon("person") }), ui.field({ label: spec.content.numberKind === "postcode" ? words.postcode : words.card_number, media: ui.icon(spec.content.numberKind === "postcode" ? "pin" : "card"), ...focused })];
  const summary = ui.list(products.slice(0, spec.keyboard ? 1 : 3).map((item) => ui.row({ title: item.name, subtitle: item.price, media: product(spec.seed, item.index, "square") })), { media: true, inset: true });
  return ui.page({ title: words.checkout, left: "back", right: r.chance(0.5) ? ["help"] : [], grouped: true, body: ui.stack([r.chance(0.7) ? summary : "", ui.form(fields, { inset: true, header: words.shipping }), `<div class="actions">${ui.button(`${words.pay} ${total}`, { iconName: "lock" })}</div>`]) });
}

export const views = { grid, detail, cart, checkout };

export function usual(spec, r) {
  if (spec.scene === "email" || spec.scene === "number") return "checkout";
  if (spec.scene === "letters") return "grid";
  return r.pick(["grid", "detail", "cart"]);
}
