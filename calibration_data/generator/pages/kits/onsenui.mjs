/** Onsen UI (Apache-2.0): the same widgets from its own elements and CSS components. */

import { boxAttribute, escape, focusAttributes, text } from "../html.mjs";
import { icon as iconOf } from "../icons.mjs";

export function onsenui(spec) {
  const ios = spec.look === "ios";
  const icon = (name) => iconOf(spec.look, name);
  const css = (name, extra = "") => `${name}${ios ? "" : ` ${name}--material`} ${extra}`;
  const link = (item) => `<ons-toolbar-button>${item.text ? escape(item.text) : icon(item)}</ons-toolbar-button>`;

  function page({ title, subtitle = "", left = null, backLabel = "", right = [], large = false, sub = "", body, footer = "", fab = "", grouped = false, className = "" }) {
    const start = left === "back" ? `<ons-back-button>${ios ? escape(backLabel) : ""}</ons-back-button>` : left ? link(left) : "";
    const heading = typeof title === "string" ? escape(title) : title.html;
    return `<ons-page class="${grouped ? "grouped" : "plain"} ${footer ? "with-footer" : ""} ${className}"><ons-toolbar data-box="title"><div class="left">${start}</div>
      <div class="center" dir="auto">${heading}${subtitle ? `<span class="subtitle" dir="auto">${escape(subtitle)}</span>` : ""}</div><div class="right">${right.map(link).join("")}</div></ons-toolbar>
      ${large && ios ? `<h1 class="large-title" dir="auto">${escape(title)}</h1>` : ""}${sub ? `<div class="subbar">${sub}</div>` : ""}
      ${body}${fab}</ons-page>${footer}`;
  }

  function row({ title, subtitle = "", body = "", after = "", media = "", chevron = false, end = "", header = "" }) {
    const second = [header, subtitle].filter(Boolean).map((part) => `<span class="list-item__subtitle" dir="auto">${escape(part)}</span>`).join("");
    const third = body ? `<span class="list-item__subtitle clamp" dir="auto">${escape(body)}</span>` : "";
    return `<ons-list-item ${chevron && ios ? 'modifier="chevron"' : ""}>${media ? `<div class="left">${media}</div>` : ""}
      <div class="center"><span class="list-item__title" dir="auto">${escape(title)}</span>${second}${third}</div>${after || end ? `<div class="right">${after ? `<span class="list-item__label">${after}</span>` : ""}${end}</div>` : ""}</ons-list-item>`;
  }

  const list = (rows, { inset = false, header = "", footer = "" } = {}) =>
    `${header ? `<ons-list-title>${escape(header)}</ons-list-title>` : ""}<ons-list modifier="${inset ? "inset" : ""}">${rows.join("")}</ons-list>${footer ? `<p class="list-footer">${escape(footer)}</p>` : ""}`;

  function field({ label = "", placeholder = "", value = "", type = "text", focus = false, media = "" }) {
    const hint = ios ? placeholder || label : label || placeholder;
    return `<ons-list-item class="input-row" ${boxAttribute(focus)}>${media ? `<div class="left">${media}</div>` : ""}<div class="center">${ios && label ? `<span class="field-label">${escape(label)}</span>` : ""}
      <ons-input type="${type === "password" ? "password" : "text"}" dir="auto" ${ios ? "" : "float"} placeholder="${escape(hint)}" value="${escape(value)}" ${focusAttributes(focus)}></ons-input></div></ons-list-item>`;
  }

  const area = ({ placeholder = "", value = "", focus = false }) =>
    `<div class="writing" ${boxAttribute(focus)}><textarea class="${css("textarea", "textarea--transparent")}" dir="auto" placeholder="${escape(placeholder)}" ${focusAttributes(focus)}>${escape(value)}</textarea></div>`;

  const form = list;
  const searchbar = ({ placeholder = "", value = "", focus = false, cancel = "" }) =>
    `<div class="search-row"><div class="search-box" ${boxAttribute(focus)}><ons-search-input dir="auto" placeholder="${escape(placeholder)}" value="${escape(value)}" ${focusAttributes(focus)}></ons-search-input></div>${cancel && ios ? `<ons-button modifier="quiet">${escape(cancel)}</ons-button>` : ""}</div>`;

  const button = (label, { kind = "fill", iconName = "" } = {}) =>
    `<ons-button modifier="large${kind === "outline" ? "--quiet outline" : kind === "plain" ? "--quiet" : kind === "tonal" ? "--quiet light" : ""}">${iconName ? icon(iconName) : ""} ${escape(label)}</ons-button>`;

  const segmented = (labels, active) =>
    `<div class="${css("segment")}">${labels.map((label, i) => `<div class="${css("segment__item")}"><input type="radio" class="${css("segment__input")}" name="segment" ${i === active ? "checked" : ""}><div class="${css("segment__button")}">${escape(label)}</div></div>`).join("")}</div>`;

  const card = ({ header = "", body = "", footer = "" }) =>
    `<ons-card>${header ? `<div class="card-header">${header}</div>` : ""}<div class="content">${body}</div>${footer ? `<div class="card-footer">${footer}</div>` : ""}</ons-card>`;

  const tabbar = (items, active) =>
    `<div class="${css("tabbar", "footer-bar")}">${items.map((item, i) => `<div class="${css("tabbar__item")}"><input type="radio" name="tab" ${i === active ? "checked" : ""}><button class="${css("tabbar__button")}"><div class="${css("tabbar__icon")}">${icon(item.icon)}</div><div class="${css("tabbar__label")}">${escape(item.label)}</div></button></div>`).join("")}</div>`;

  const messagebar = ({ placeholder = "", value = "", focus = false, before = "attach", after = "send" }) =>
    `<div class="bottom-bar message-row footer-bar"><span class="bar-icon">${icon(before)}</span><div class="message-field" ${boxAttribute(focus)}><textarea rows="1" dir="auto" class="grow" placeholder="${escape(placeholder)}" ${focusAttributes(focus)}>${escape(value)}</textarea></div><span class="bar-icon accent">${icon(after)}</span></div>`;

  const message = ({ me, body, image = "", face = "", name = "" }) =>
    `<div class="talk ${me ? "me" : "them"}">${!me && face ? face : ""}<ons-card class="bubble">${name ? `<b>${escape(name)}</b>` : ""}${image}${body ? `<div dir="auto">${escape(body)}</div>` : ""}</ons-card></div>`;

  const messages = (items) => `<div class="talks">${items.map((item) => (item.title ? `<div class="talk-title">${text(item.title)}</div>` : message(item))).join("")}</div>`;
  const chip = (label, active = false) => `<span class="chip ${active ? "chip-active" : ""}">${escape(label)}</span>`;
  const toggle = (on) => `<ons-switch ${on ? "checked" : ""}></ons-switch>`;
  const check = (on) => `<ons-checkbox ${on ? "checked" : ""}></ons-checkbox>`;
  const badge = (count) => `<span class="${css("notification")}">${count}</span>`;
  const stepper = (count) => `<span class="stepper"><ons-button modifier="outline">−</ons-button><b>${count}</b><ons-button modifier="outline">+</ons-button></span>`;
  const range = (value) => `<ons-range value="${value}" style="width:100%"></ons-range>`;
  const progress = (value) => `<ons-progress-bar value="${value}"></ons-progress-bar>`;
  const fab = (name) => `<ons-fab position="bottom right">${icon(name)}</ons-fab>`;
  return { page, row, list, form, field, area, searchbar, button, segmented, card, tabbar, messagebar, messages, chip, toggle, check, badge, stepper, range, progress, fab, icon };
}

/** The kit's style sheets and scripts; its elements start by themselves. */
onsenui.head = (spec) => ({
  styles: ["onsenui/css/onsenui-core.min.css", spec.dark ? "onsenui/css/dark-onsen-css-components.min.css" : "onsenui/css/onsen-css-components.min.css"],
  scripts: ["onsenui/js/onsenui.min.js"],
  early: `ons.platform.select('${spec.look === "ios" ? "ios" : "android"}');`,
  start: "",
  again: "",
});
