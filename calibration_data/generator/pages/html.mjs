/** Small helpers that write HTML. */

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

export const escape = (text) => String(text ?? "").replace(/[&<>"]/g, (char) => ENTITIES[char]);

/** Text in an element whose direction follows the text itself (phone numbers inside Arabic, for example). */
export const text = (value, className = "") => `<span dir="auto" class="${className}">${escape(value)}</span>`;

/** Escaped text whose line breaks stay. */
export const lines = (value) => escape(value).replace(/\n/g, "<br>");

/** The attributes of the field that is being typed into: the shot focuses it and measures its box. */
export const focusAttributes = (focus) => (focus ? "data-focus" : "");
export const boxAttribute = (focus) => (focus ? 'data-box="input"' : "");
