/** Framework7 (MIT): the widgets that the screens are made of, as its documentation writes them. */

import { boxAttribute, escape, focusAttributes, text } from "../html.mjs";
import { icon as iconOf } from "../icons.mjs";

export function framework7(spec) {
  const ios = spec.look === "ios";
  const icon = (name) => iconOf(spec.look, name);
  const link = (item) => (item.text ? `<a class="link">${escape(item.text)}</a>` : `<a class="link icon-only">${icon(item)}</a>`);

  const back = (label) => `<a class="link back"><i class="icon icon-back"></i>${ios && label ? `<span>${escape(label)}</span>` : ""}</a>`;

  function page({ title, subtitle = "", left = null, backLabel = "", right = [], large = false, sub = "", body, footer = "", fab = "", grouped = false, className = "" }) {
    const start = left === "back" ? back(backLabel) : left ? link(left) : "";
    const heading = `<div class="title" dir="auto">${typeof title === "string" ? escape(title) : title.html}${subtitle ? `<span class="subtitle" dir="auto">${escape(subtitle)}</span>` : ""}</div>`;
    const bigTitle = large ? `<div class="title-large"><div class="title-large-text" dir="auto">${escape(title)}</div></div>` : "";
    return `<div class="view view-main"><div class="page ${grouped ? "grouped" : "plain"} ${sub ? "page-with-subnavbar" : ""} ${className}" data-name="home">
      <div class="navbar ${large ? "navbar-large" : ""}" data-box="title"><div class="navbar-bg"></div>
        <div class="navbar-inner ${large ? "navbar-inner-large" : ""} sliding">
        ${start ? `<div class="left">${start}</div>` : ""}${heading}${right.length ? `<div class="right">${right.map(link).join("")}</div>` : ""}${bigTitle}
        ${sub ? `<div class="subnavbar"><div class="subnavbar-inner">${sub}</div></div>` : ""}</div></div>
      ${footer}${fab}<div class="page-content">${body}</div></div></div>`;
  }

  function row({ title, subtitle = "", body = "", after = "", media = "", chevron = false, end = "", header = "" }) {
    const rich = subtitle || body;
    const inner = rich
      ? `<div class="item-title-row"><div class="item-title" dir="auto">${escape(title)}</div><div class="item-after">${after}</div></div>
         ${subtitle ? `<div class="item-subtitle" dir="auto">${escape(subtitle)}</div>` : ""}${body ? `<div class="item-text" dir="auto">${escape(body)}</div>` : ""}`
      : `<div class="item-title" dir="auto">${header ? `<div class="item-header">${escape(header)}</div>` : ""}${escape(title)}</div><div class="item-after">${after}${end}</div>`;
    const content = `${media ? `<div class="item-media">${media}</div>` : ""}<div class="item-inner">${inner}</div>${rich && end ? `<div class="item-end">${end}</div>` : ""}`;
    return chevron ? `<li><a class="item-link item-content">${content}</a></li>` : `<li><div class="item-content">${content}</div></li>`;
  }

  function list(rows, { inset = false, header = "", footer = "", media = false } = {}) {
    const title = header ? `<div class="block-title">${escape(header)}</div>` : "";
    const foot = footer ? `<div class="block-footer">${escape(footer)}</div>` : "";
    return `${title}<div class="list ${media ? "media-list" : ""} list-strong list-dividers ${inset ? "inset" : ""} ${ios ? "" : "list-outline"}"><ul>${rows.join("")}</ul></div>${foot}`;
  }

  function field({ label = "", placeholder = "", value = "", type = "text", focus = false, media = "" }) {
    const kind = type === "password" ? "password" : "text";
    return `<li><div class="item-content item-input ${ios || !label ? "" : "item-input-outline"}" ${boxAttribute(focus)}>${media ? `<div class="item-media">${media}</div>` : ""}
      <div class="item-inner">${label ? `<div class="item-title item-label">${escape(label)}</div>` : ""}
      <div class="item-input-wrap"><input type="${kind}" dir="auto" placeholder="${escape(placeholder)}" value="${escape(value)}" ${focusAttributes(focus)}></div></div></div></li>`;
  }

  const area = ({ placeholder = "", value = "", focus = false }) =>
    `<div class="writing" ${boxAttribute(focus)}><textarea dir="auto" placeholder="${escape(placeholder)}" ${focusAttributes(focus)}>${escape(value)}</textarea></div>`;

  const form = (fields, options = {}) => (ios ? list(fields, options) : list(fields, options).replace("list-strong list-dividers", "").replace("list-outline", ""));

  const searchbar = ({ placeholder = "", value = "", focus = false, cancel = "" }) =>
    `<form class="searchbar ${focus ? "searchbar-enabled" : ""}" ${boxAttribute(focus)}><div class="searchbar-inner"><div class="searchbar-input-wrap">
      <input type="search" dir="auto" placeholder="${escape(placeholder)}" value="${escape(value)}" ${focusAttributes(focus)}><i class="searchbar-icon"></i>${value ? '<span class="input-clear-button"></span>' : ""}</div>
      ${cancel && ios ? `<span class="searchbar-disable-button keep">${escape(cancel)}</span>` : ""}</div></form>`;

  const button = (label, { kind = "fill", iconName = "" } = {}) =>
    `<a class="button button-large ${kind === "fill" ? "button-fill" : kind === "outline" ? "button-outline" : kind === "tonal" ? "button-tonal" : ""} ${ios ? "" : "button-round"}">${iconName ? icon(iconName) : ""}<span>${escape(label)}</span></a>`;

  const segmented = (labels, active) =>
    `<div class="segmented segmented-strong">${labels.map((label, i) => `<a class="button ${i === active ? "button-active" : ""}">${escape(label)}</a>`).join("")}<span class="segmented-highlight"></span></div>`;

  const card = ({ header = "", body = "", footer = "" }) =>
    `<div class="card ${ios ? "" : "card-raised"}">${header ? `<div class="card-header">${header}</div>` : ""}<div class="card-content">${body}</div>${footer ? `<div class="card-footer">${footer}</div>` : ""}</div>`;

  const tabbar = (items, active) =>
    `<div class="toolbar tabbar tabbar-icons toolbar-bottom"><div class="toolbar-inner"><div class="toolbar-pane">${items.map((item, i) => `<a class="tab-link ${i === active ? "tab-link-active" : ""}">${icon(item.icon)}<span class="tabbar-label">${escape(item.label)}</span></a>`).join("")}</div></div></div>`;

  const messagebar = ({ placeholder = "", value = "", focus = false, before = "attach", after = "send" }) =>
    `<div class="toolbar messagebar"><div class="toolbar-inner"><a class="link icon-only">${icon(before)}</a><div class="messagebar-area" ${boxAttribute(focus)}>
      <textarea class="resizable" dir="auto" placeholder="${escape(placeholder)}" ${focusAttributes(focus)}>${escape(value)}</textarea></div><a class="link icon-only">${icon(after)}</a></div></div>`;

  const message = ({ me, body, image = "", face = "", tail = true, name = "" }) =>
    `<div class="message message-${me ? "sent" : "received"} ${tail ? "message-tail message-last message-first" : ""}">${!me && face ? `<div class="message-avatar">${face}</div>` : ""}
      <div class="message-content">${name ? `<div class="message-name">${escape(name)}</div>` : ""}<div class="message-bubble">${image ? `<div class="message-image">${image}</div>` : ""}${body ? `<div class="message-text" dir="auto">${escape(body)}</div>` : ""}</div></div></div>`;

  const messages = (items) => `<div class="messages">${items.map((item) => (item.title ? `<div class="messages-title">${text(item.title)}</div>` : message(item))).join("")}</div>`;
  const chip = (label, active = false) => `<div class="chip ${active ? "color-primary" : "chip-outline"}"><div class="chip-label">${escape(label)}</div></div>`;
  const toggle = (on) => `<label class="toggle"><input type="checkbox" ${on ? "checked" : ""}><span class="toggle-icon"></span></label>`;
  const check = (on) => `<label class="checkbox"><input type="checkbox" ${on ? "checked" : ""}><i class="icon-checkbox"></i></label>`;
  const badge = (count) => `<span class="badge color-primary">${count}</span>`;
  const stepper = (count) => `<div class="stepper stepper-small stepper-fill stepper-round"><div class="stepper-button-minus"></div><div class="stepper-input-wrap"><input type="text" value="${count}" readonly></div><div class="stepper-button-plus"></div></div>`;
  const range = (value) => `<div class="range-slider range-slider-init" data-min="0" data-max="100" data-value="${value}"></div>`;
  const progress = (value) => `<div class="progressbar" data-progress="${value}"><span style="transform:translate3d(${value - 100}%,0,0)"></span></div>`;
  const fab = (name) => `<div class="fab fab-right-bottom"><a>${icon(name)}</a></div>`;
  return { page, row, list, form, field, area, searchbar, button, segmented, card, tabbar, messagebar, messages, chip, toggle, check, badge, stepper, range, progress, fab, icon };
}

const VIEW = "app.views.create('.view-main'); document.querySelectorAll('.messagebar').forEach((el) => app.messagebar.create({el, resizePage: true}));";

/** The kit's style sheets and scripts, and what starts it: `start` in a document's first screen, `again` in each later one. */
framework7.head = (spec) => ({
  styles: [spec.direction === "rtl" ? "framework7/framework7-bundle-rtl.min.css" : "framework7/framework7-bundle.min.css"],
  scripts: ["framework7/framework7-bundle.min.js"],
  early: "",
  start: `window.app = new Framework7({el: '#app', theme: '${spec.look === "ios" ? "ios" : "md"}', darkMode: ${spec.dark}, colors: {primary: '${spec.accent}'},
    touch: {mdTouchRipple: false}, navbar: {hideOnPageScroll: false}}); ${VIEW}`,
  again: `[...app.views].forEach((view) => view.destroy()); app.setDarkMode(${spec.dark}); app.setColorTheme('${spec.accent}'); ${VIEW}`,
});
