/** On-screen keyboards: layouts and appearance for simple-keyboard. */

import { random } from "./random.mjs";

const QWERTY = ["q w e r t y u i o p", "a s d f g h j k l", "z x c v b n m"];
const LETTERS = {
  en: QWERTY, zh: QWERTY, ja: QWERTY,
  es: ["q w e r t y u i o p", "a s d f g h j k l ñ", "z x c v b n m"],
  de: ["q w e r t z u i o p ü", "a s d f g h j k l ö ä", "y x c v b n m ß"],
  fr: ["a z e r t y u i o p", "q s d f g h j k l m", "w x c v b n '"],
  ru: ["й ц у к е н г ш щ з х", "ф ы в а п р о л д ж э", "я ч с м и т ь б ю"],
  ar: ["ض ص ث ق ف غ ع ه خ ح ج", "ش س ي ب ل ا ت ن م ك ط", "ذ ء ؤ ر ى ة و ز ظ د"],
  hi: ["ौ ै ा ी ू ब ह ग द ज ड", "ो े ् ि ु प र क त च ट", "ॉ ं म न व ल स य"],
};
const KANA = ["{undo} あ か さ {bksp}", "{left} た な は {space}", "{sym} ま や ら {shift}", "{globe} 、 わ 。 {enter}"];
const SYMBOLS = ["1 2 3 4 5 6 7 8 9 0", "- / : ; ( ) € & @ \"", "{more} . , ? ! ' {bksp}"];
const PADS = {
  ios: ["1 2 3", "4 5 6", "7 8 9", "{blank} 0 {bksp}"],
  material: ["1 2 3 -", "4 5 6 {space}", "7 8 9 {bksp}", ", 0 . {enter}"],
};
const SPACE = { en: "space", de: "Leerzeichen", es: "espacio", fr: "espace", ja: "空白", zh: "空格", ar: "مسافة", hi: "स्पेस", ru: "Пробел" };

const stroke = (path) => `<svg viewBox="0 0 24 24" width="21" height="21" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">${path}</svg>`;
const ICONS = {
  "{shift}": stroke('<path d="M12 4 L20 12 H16 V19 H8 V12 H4Z"/>'),
  "{bksp}": stroke('<path d="M8 5 H21 V19 H8 L2.500 12Z M11.500 9.500 l5 5 M16.500 9.500 l-5 5"/>'),
  "{enter}": stroke('<path d="M19 6 V12 H6 M10 8 L6 12 L10 16"/>'),
  "{go}": stroke('<path d="M5 12 H19 M13 6 L19 12 L13 18"/>'),
  "{globe}": stroke('<circle cx="12" cy="12" r="8.500"/><path d="M3.500 12 H20.500 M12 3.500 q5 8.500 0 17 q-5 -8.500 0 -17"/>'),
  "{emoji}": stroke('<circle cx="12" cy="12" r="8.500"/><path d="M8.500 14 q3.500 4 7 0 M9 9.500v.5 M15 9.500v.5"/>'),
  "{mic}": stroke('<rect x="9" y="3" width="6" height="11" rx="3"/><path d="M6 11 q0 6 6 6 t6 -6 M12 17 v4"/>'),
  "{left}": stroke('<path d="M15 6 L9 12 L15 18"/>'),
  "{undo}": stroke('<path d="M9 14 L4 9 L9 4 M4 9 H14 q6 0 6 5.500 T14 20"/>'),
  "{more}": "#+=", "{sym}": "123", "{abc}": "ABC", "{blank}": " ", "{com}": ".com",
};

/** Symbols key, language or emoji key, space and enter: the bottom row, which differs by look and field. */
function bottomRow(look, field, go) {
  const enter = go ? "{go}" : "{enter}";
  if (field === "email") return look === "ios" ? "{sym} {space} @ . {enter}" : `{sym} @ {space} . {com} ${enter}`;
  if (field === "symbols") return look === "ios" ? `{abc} {emoji} {space} {enter}` : `{abc} , {space} . ${enter}`;
  return look === "ios" ? `{sym} {emoji} {space} {enter}` : `{sym} , {emoji} {space} . ${enter}`;
}

function rows(spec, r) {
  const { look, language, keyboard } = spec;
  if (keyboard === "digits" && spec.pad) return { rows: PADS[look], form: "pad" };
  if (keyboard === "digits") return { rows: [...SYMBOLS, bottomRow(look, "symbols", false)], form: "symbols" };
  if (keyboard === "letters" && language === "ja" && r.chance(0.5)) return { rows: KANA, form: "kana" };
  const letters = keyboard === "email" ? QWERTY : LETTERS[language];
  const [top, middle, low] = letters;
  const number = look === "material" && (keyboard === "email" || r.chance(0.35)) ? ["1 2 3 4 5 6 7 8 9 0"] : [];
  const shift = language === "hi" || language === "ar" ? "" : "{shift} ";
  return { rows: [...number, top, middle, `${shift}${low} {bksp}`, bottomRow(look, keyboard, spec.kind === "search" || r.chance(0.3))], form: "letters" };
}

/** What the page needs to start simple-keyboard for `spec`, or null when the screen has no keyboard. */
export function keyboardOptions(spec) {
  if (!spec.keyboard) return null;
  const r = random(spec.seed, "keyboard");
  const chosen = rows(spec, r);
  const capital = chosen.form === "letters" && spec.keyboard === "letters" && spec.typed === "" && !["hi", "ar", "ja", "zh"].includes(spec.language);
  const layout = chosen.rows.map((row) => (capital ? row.split(" ").map((key) => (key.startsWith("{") ? key : key.toUpperCase())).join(" ") : row));
  const style = spec.look === "ios" ? "ios" : r.pick(["gboard", "gboard", "flat"]);
  return {
    layout, form: chosen.form, style,
    display: { ...ICONS, "{space}": chosen.form === "pad" || chosen.form === "kana" ? (chosen.form === "kana" ? SPACE.ja : "␣") : spec.look === "ios" || r.chance(0.6) ? SPACE[spec.language] : " " },
    strip: chosen.form !== "pad" && spec.keyboard !== "digits" ? spec.suggestions : chosen.form === "pad" ? null : [],
    height: r.int(41, 46),
    accent: spec.look === "material",
  };
}
