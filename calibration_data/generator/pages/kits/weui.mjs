/** WeUI (MIT): the same widgets from its style sheet. No training screen is drawn with it: it shows how the encoder fares on a kit it never saw. */

import { boxAttribute, escape, focusAttributes, text } from "../html.mjs";
import { icon as iconOf } from "../icons.mjs";

export function weui(spec) {
  const icon = (name) => iconOf(spec.look, name);
  const link = (item) => `<a class="bar-link">${item.text ? escape(item.text) : icon(item)}</a>`;

  function page({ title, subtitle = "", left = null, right = [], large = false, sub = "", body, footer = "", fab = "", grouped = false, className = "" }) {
    const start = left === "back" ? `<a class="bar-link">${icon("back")}</a>` : left ? link(left) : "";
    const heading = typeof title === "string" ? escape(title) : title.html;
    return `<div class="wx-root wx-page ${grouped ? "grouped" : "plain"} ${className}" ${spec.dark ? 'data-weui-theme="dark"' : ""}>
      <div class="wx-bar" data-box="title"><div class="side">${start}</div><div class="middle" dir="auto">${heading}${subtitle ? `<small dir="auto">${escape(subtitle)}</small>` : ""}</div><div class="side end">${right.map(link).join("")}</div></div>
      ${sub ? `<div class="wx-sub">${sub}</div>` : ""}<div class="page__content">${large ? `<h1 class="wx-large" dir="auto">${escape(title)}</h1>` : ""}${body}</div>${fab}${footer}</div>`;
  }

  function row({ title, subtitle = "", body = "", after = "", media = "", chevron = false, end = "", header = "" }) {
    const second = [header, subtitle].filter(Boolean).map((part) => `<div class="weui-cell__desc" dir="auto">${escape(part)}</div>`).join("");
    const third = body ? `<div class="weui-cell__desc clamp" dir="auto">${escape(body)}</div>` : "";
    return `<div class="weui-cell ${chevron ? "weui-cell_access" : ""}">${media ? `<div class="weui-cell__hd">${media}</div>` : ""}<div class="weui-cell__bd"><div class="line" dir="auto">${escape(title)}</div>${second}${third}</div>
      <div class="weui-cell__ft">${after}${end}</div></div>`;
  }

  const list = (rows, { inset = false, header = "", footer = "" } = {}) =>
    `${header ? `<div class="weui-cells__title">${escape(header)}</div>` : ""}<div class="weui-cells ${inset ? "inset" : ""}">${rows.join("")}</div>${footer ? `<div class="weui-cells__tips">${escape(footer)}</div>` : ""}`;

  const field = ({ label = "", placeholder = "", value = "", type = "text", focus = false, media = "" }) =>
    `<div class="weui-cell weui-cell_active" ${boxAttribute(focus)}><div class="weui-cell__hd">${label ? `<label class="weui-label" dir="auto">${escape(label)}</label>` : media}</div>
      <div class="weui-cell__bd"><input class="weui-input" type="${type === "password" ? "password" : "text"}" dir="auto" placeholder="${escape(placeholder)}" value="${escape(value)}" ${focusAttributes(focus)}></div></div>`;

  const area = ({ placeholder = "", value = "", focus = false }) =>
    `<div class="weui-cells"><div class="writing" ${boxAttribute(focus)}><textarea class="weui-textarea" dir="auto" placeholder="${escape(placeholder)}" ${focusAttributes(focus)}>${escape(value)}</textarea></div></div>`;

  const form = (fields, options = {}) => list(fields, options).replace('class="weui-cells', 'class="weui-cells weui-cells_form');

  const searchbar = ({ placeholder = "", value = "", focus = false, cancel = "" }) =>
    `<div class="weui-search-bar ${focus ? "weui-search-bar_focusing" : ""}"><div class="weui-search-bar__form" ${boxAttribute(focus)}><div class="weui-search-bar__box"><i class="weui-icon-search"></i>
      <input class="weui-search-bar__input" dir="auto" placeholder="${escape(placeholder)}" value="${escape(value)}" ${focusAttributes(focus)}></div></div>${focus && cancel ? `<a class="weui-search-bar__cancel-btn">${escape(cancel)}</a>` : ""}</div>`;

  const button = (label, { kind = "fill", iconName = "" } = {}) =>
    `<a class="weui-btn weui-btn_${kind === "fill" ? "primary" : "default"} ${kind === "plain" ? "bare" : ""}">${iconName ? icon(iconName) : ""} ${escape(label)}</a>`;

  const segmented = (labels, active) =>
    `<div class="weui-navbar wx-segments">${labels.map((label, i) => `<div class="weui-navbar__item ${i === active ? "weui-bar__item_on" : ""}">${escape(label)}</div>`).join("")}</div>`;

  const card = ({ header = "", body = "", footer = "" }) =>
    `<div class="weui-panel"><div class="weui-panel__hd wx-head">${header}</div><div class="weui-panel__bd wx-card">${body}</div>${footer ? `<div class="weui-panel__ft wx-foot">${footer}</div>` : ""}</div>`;

  const tabbar = (items, active) =>
    `<div class="weui-tabbar">${items.map((item, i) => `<div class="weui-tabbar__item ${i === active ? "weui-bar__item_on" : ""}"><div class="wx-tab-icon">${icon(item.icon)}</div><p class="weui-tabbar__label">${escape(item.label)}</p></div>`).join("")}</div>`;

  const messagebar = ({ placeholder = "", value = "", focus = false, before = "attach", after = "send" }) =>
    `<div class="wx-input"><span class="knob">${icon(before)}</span><div class="wx-field" ${boxAttribute(focus)}><textarea rows="1" dir="auto" class="grow" placeholder="${escape(placeholder)}" ${focusAttributes(focus)}>${escape(value)}</textarea></div><span class="knob">${icon(after)}</span></div>`;

  const message = ({ me, body, image = "", face = "", name = "" }) =>
    `<div class="wx-talk ${me ? "me" : "them"}">${face || '<span class="wx-face"></span>'}<div class="wx-bubble">${name ? `<b>${escape(name)}</b>` : ""}${image}${body ? `<div dir="auto">${escape(body)}</div>` : ""}</div></div>`;

  const messages = (items) => `<div class="talks">${items.map((item) => (item.title ? `<div class="wx-time">${text(item.title)}</div>` : message(item))).join("")}</div>`;
  const chip = (label, active = false) => `<span class="wx-chip ${active ? "on" : ""}">${escape(label)}</span>`;
  const toggle = (on) => `<input class="weui-switch" type="checkbox" ${on ? "checked" : ""}>`;
  const check = (on) => `<i class="${on ? "weui-icon-success" : "weui-icon-circle"}"></i>`;
  const badge = (count) => `<span class="weui-badge">${count}</span>`;
  const stepper = (count) => `<span class="wx-stepper"><i>−</i><b>${count}</b><i>+</i></span>`;
  const range = (value) => `<div class="weui-slider"><div class="weui-slider__inner"><div class="weui-slider__track" style="width:${value}%"></div><div class="weui-slider__handler" style="left:${value}%"></div></div></div>`;
  const progress = (value) => `<div class="weui-progress"><div class="weui-progress__bar"><div class="weui-progress__inner-bar" style="width:${value}%"></div></div></div>`;
  const fab = (name) => `<span class="wx-fab">${icon(name)}</span>`;
  return { page, row, list, form, field, area, searchbar, button, segmented, card, tabbar, messagebar, messages, chip, toggle, check, badge, stepper, range, progress, fab, icon };
}

/** The kit's style sheet; it has no scripts. */
weui.head = () => ({ styles: ["weui/dist/style/weui.min.css"], scripts: [], early: "", start: "", again: "" });
