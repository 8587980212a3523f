/* Runs inside the page: starts the kit and the keyboard, focuses the field, colours the system bars, measures the boxes. */
(() => {
  const MESSAGE_FIELD_LIMIT_PX = 110;
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

  function boxOf(element) {
    if (!element) return null;
    const { left, top, right, bottom } = element.getBoundingClientRect();
    const limit = (value, high) => Math.min(Math.max(value, 0), high);
    const [x, y] = [limit(left, innerWidth), limit(top, innerHeight)];
    const box = [x, y, limit(right, innerWidth) - x, limit(bottom, innerHeight) - y].map((value) => Math.round(value * devicePixelRatio));
    return box[2] > 0 && box[3] > 0 ? box : null;
  }

  window.prepareScreen = async () => {
    if (window.ons) await new Promise((done) => ons.ready(done));
    window.startKit();
    startKeyboard(window.KEYBOARD);
    await document.fonts.ready;
    await frame();
    const input = innermostInput();
    if (input) {
      input.focus({ preventScroll: true });
      if (input.matches(".resizable")) window.app.input.resizeTextarea(input);
      if (input.matches(".grow")) input.style.height = `${Math.min(input.scrollHeight, MESSAGE_FIELD_LIMIT_PX)}px`;
      input.setSelectionRange(input.value.length, input.value.length);
      input.scrollLeft = input.scrollWidth;
      if (input.tagName === "TEXTAREA") input.scrollTop = input.scrollHeight;
    }
    await frame();
    for (const area of document.querySelectorAll(".page-content, .page__content")) if (area.querySelector(".messages, .talks, [data-bottom]")) area.scrollTop = area.scrollHeight;
    const app = document.getElementById("app").getBoundingClientRect();
    paint(document.getElementById("status"), colorAt(app.width / 2, app.top + 3));
    const keys = document.getElementById("keyboard");
    paint(document.getElementById("nav"), keys ? getComputedStyle(keys).backgroundColor.match(/[\d.]+/g).map(Number) : colorAt(8, app.bottom - 3));
    await document.fonts.ready;
    await frame();
  };

  window.measureScreen = () => {
    const find = (name) => boxOf(document.querySelector(`[data-box="${name}"]`));
    const input = innermostInput();
    return { title: find("title"), input: find("input") || boxOf(input), keyboard: find("keyboard"), status: find("status"), value: input ? input.value : null };
  };
})();
