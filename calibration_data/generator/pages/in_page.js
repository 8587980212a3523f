/* Runs inside the page: starts the kit and the keyboard, focuses the field, colours the system bars, measures the boxes. */
(() => {
  const MESSAGE_FIELD_LIMIT_PX = 110;
  const WRITING_FIELD_LEAST_PX = 120;
  const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));

  function startKeyboard(options) {
    if (!options) return;
    const special = (name, keys) => ({ class: name, buttons: keys });
    new window.SimpleKeyboard.default({
      layout: { default: options.layout }, display: options.display, mergeDisplay: false, physicalKeyboardHighlight: false,
      buttonTheme: [special("key-function", "{shift} {bksp} {enter} {go} {sym} {abc} {more} {globe} {left} {undo}"), special("key-go", "{enter} {go}"), special("key-blank", "{blank}"), special("key-space", "{space}"), special("key-plain", "{emoji}"), special("key-com", "{com}")],
    });
  }

  /** The colour that shows at a point: the first opaque background from the top element down. */
  function colorAt(x, y) {
    for (const element of document.elementsFromPoint(x, y)) {
      const color = getComputedStyle(element).backgroundColor;
      const parts = color.match(/[\d.]+/g).map(Number);
      if (parts.length === 3 || parts[3] > 0.85) return parts.slice(0, 3);
    }
    return document.documentElement.classList.contains("dark") ? [0, 0, 0] : [255, 255, 255];
  }

  function paint(element, [red, green, blue]) {
    element.style.backgroundColor = `rgb(${red}, ${green}, ${blue})`;
    element.style.color = red * 0.3 + green * 0.59 + blue * 0.11 > 150 ? "#1c1c1e" : "#fff";
  }

  function innermostInput() {
    const marked = document.querySelector("[data-focus]");
    if (!marked) return null;
    return marked.matches("input, textarea") ? marked : marked.querySelector("input, textarea");
  }

  /** The visible part of an element's box, in pixels of the picture: [x, y, width, height], or null. */
  function boxOf(element, frame = document.documentElement) {
    if (!element) return null;
    const [own, limits] = [element.getBoundingClientRect(), frame.getBoundingClientRect()];
    const [left, top] = [Math.max(own.left, limits.left, 0), Math.max(own.top, limits.top, 0)];
    const [right, bottom] = [Math.min(own.right, limits.right, innerWidth), Math.min(own.bottom, limits.bottom, innerHeight)];
    const box = [left, top, right - left, bottom - top].map((value) => Math.round(value * devicePixelRatio));
    return box[2] > 0 && box[3] > 0 ? box : null;
  }

  /** Focuses the field with the caret behind its text, as high as its text needs, and brings it into view. */
  function focusField(input) {
    input.focus({ preventScroll: true });
    if (input.matches(".resizable")) window.app.input.resizeTextarea(input);
    if (input.matches(".grow")) input.style.height = `${Math.min(input.scrollHeight, MESSAGE_FIELD_LIMIT_PX)}px`;
    if (input.closest(".writing")) {
      input.style.height = "auto";
      input.style.height = `${Math.max(input.scrollHeight, WRITING_FIELD_LEAST_PX)}px`;
    }
    input.setSelectionRange(input.value.length, input.value.length);
    input.scrollLeft = input.scrollWidth;
    if (input.tagName === "TEXTAREA") input.scrollTop = input.scrollHeight;
    if (input.getBoundingClientRect().bottom > document.getElementById("app").getBoundingClientRect().bottom) input.scrollIntoView({ block: "end" });
  }

  window.prepareScreen = async () => {
    if (window.ons) await new Promise((done) => ons.ready(done));
    window.startKit();
    startKeyboard(window.KEYBOARD);
    await document.fonts.ready;
    await frame();
    const input = innermostInput();
    if (input) focusField(input);
    await frame();
    for (const area of document.querySelectorAll(".page-content, .page__content")) if (area.querySelector(".messages, .talks")) area.scrollTop = area.scrollHeight;
    const app = document.getElementById("app").getBoundingClientRect();
    paint(document.getElementById("status"), colorAt(app.width / 2, app.top + 3));
    const keys = document.getElementById("keyboard");
    paint(document.getElementById("nav"), keys ? getComputedStyle(keys).backgroundColor.match(/[\d.]+/g).map(Number) : colorAt(8, app.bottom - 3));
    await document.fonts.ready;
    await frame();
  };

  window.measureScreen = () => {
    const app = document.getElementById("app");
    const find = (name, frame) => boxOf(document.querySelector(`[data-box="${name}"]`), frame);
    const input = innermostInput();
    return { title: find("title", app), input: find("input", app) || boxOf(input, app), keyboard: find("keyboard"), status: find("status"), value: input ? input.value : null };
  };
})();
