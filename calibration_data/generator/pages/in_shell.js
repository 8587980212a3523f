/* Runs in a document that many screens are drawn in, one after the other: kit and style sheets are loaded once. */
(() => {
  const root = document.documentElement;
  let kept = null;

  /** The classes that the kit has given to the document and to the app's element when it started. */
  const kitClasses = (own) => ({ root: [...root.classList].filter((name) => !own.includes(name)), app: document.getElementById("app").className });

  /** Takes the last screen away, and what kit and keyboard added to it; returns the app's element, which kits keep hold of. */
  function clear() {
    for (const keyboard of Object.values(window.SimpleKeyboardInstances ?? {})) keyboard.destroy();
    document.querySelector(".textarea-resizable-shadow")?.remove();
    const app = document.getElementById("app");
    document.body.replaceChildren();
    for (const element of [root, document.body]) for (const { name } of [...element.attributes]) element.removeAttribute(name);
    return app;
  }

  /** Shows what `screenOf` (page.mjs) made and returns the boxes. Fonts come first, since kits measure text when they start. */
  window.showScreen = async ({ attributes, body, keyboard, start, again }) => {
    if (!kept) await Promise.all([...document.fonts].map((font) => font.load()));
    const app = clear();
    for (const [name, value] of Object.entries(attributes)) root.setAttribute(name, value);
    document.body.innerHTML = body;
    if (kept) {
      const fresh = document.getElementById("app");
      root.classList.add(...kept.root);
      app.className = kept.app;
      app.replaceChildren(...fresh.childNodes);
      fresh.replaceWith(app);
    }
    window.KEYBOARD = keyboard;
    window.startKit = new Function(kept ? again : start);
    await window.prepareScreen();
    kept ??= kitClasses(attributes.class.split(" "));
    return window.measureScreen();
  };
})();
