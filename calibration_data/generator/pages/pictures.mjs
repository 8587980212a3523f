/** Pictures drawn from a seed: avatars, photos and products, all SVG, none taken from anywhere. */

import { random } from "./random.mjs";

const SKIES = [
  ["#fbd3a2", "#f2836b", "#6a4c93"], ["#bde0fe", "#8ecae6", "#219ebc"], ["#fefae0", "#ffd6a5", "#ff9b85"],
  ["#0b132b", "#1c2541", "#5b6c9e"], ["#e0fbfc", "#c2dfe3", "#9db4c0"], ["#ffe5ec", "#ffb3c6", "#fb6f92"],
];
const LANDS = [
  ["#2d6a4f", "#40916c", "#74c69d"], ["#3d405b", "#5f6587", "#81b29a"], ["#582f0e", "#936639", "#c2c5aa"],
  ["#1b263b", "#415a77", "#778da9"], ["#6b705c", "#a5a58d", "#cb997e"], ["#14213d", "#33415c", "#7d8597"],
];
const SKINS = ["#f6d7c3", "#e8b998", "#c98d65", "#a0694a", "#7a4a32", "#553222"];
const HAIRS = ["#2b1b12", "#4e342e", "#8d5524", "#d9a441", "#1d1d1f", "#b0b0b0", "#a83f2e"];
const CLOTHES = ["#3a86ff", "#8338ec", "#ff006e", "#fb5607", "#ffbe0b", "#2a9d8f", "#264653", "#e9c46a", "#6d597a"];

const svg = (width, height, body, extra = "") =>
  `<svg class="picture" viewBox="0 0 ${width} ${height}" preserveAspectRatio="xMidYMid slice" ${extra}>${body}</svg>`;

let gradients = 0;
function gradient(colors, direction = "0,0,0,1") {
  const id = `g${gradients++}`;
  const [x1, y1, x2, y2] = direction.split(",");
  const stops = colors.map((color, i) => `<stop offset="${i / (colors.length - 1)}" stop-color="${color}"/>`).join("");
  return { fill: `url(#${id})`, defs: `<defs><linearGradient id="${id}" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}">${stops}</linearGradient></defs>` };
}

/** Starts the numbering of gradients anew: each page is drawn from zero, so that a page never depends on the one before. */
export function resetPictures() {
  gradients = 0;
}

/** A portrait, or two initials on a gradient. */
export function avatar(seed, name, className = "") {
  const r = random(seed, `avatar ${name}`);
  const hue = r.int(0, 359);
  const back = gradient([`hsl(${hue} 70% 68%)`, `hsl(${(hue + 40) % 360} 65% 46%)`], "0,0,1,1");
  const base = `${back.defs}<rect width="80" height="80" fill="${back.fill}"/>`;
  if (r.chance(0.35)) {
    const initials = [...name.trim()].slice(0, 1).join("");
    return `<span class="avatar ${className}">${svg(80, 80, `${base}<text x="40" y="53" font-size="36" font-weight="500" fill="#fff" text-anchor="middle">${initials}</text>`)}</span>`;
  }
  const skin = r.pick(SKINS);
  const hair = r.pick(HAIRS);
  const long = r.chance(0.5);
  const shape = long
    ? `<path d="M20 72 V38 a20 22 0 0 1 40 0 V72 Z" fill="${hair}"/>`
    : `<path d="M22 40 a18 20 0 0 1 36 0 l0 4 h-36 Z" fill="${hair}"/>`;
  const fringe = `<path d="M23 37 q${r.int(8, 22)} ${r.int(-16, -4)} 34 0 q-2 -19 -17 -19 t-17 19Z" fill="${hair}"/>`;
  const glasses = r.chance(0.25) ? '<g fill="none" stroke="#222" stroke-width="1.4"><circle cx="33" cy="42" r="5"/><circle cx="47" cy="42" r="5"/><path d="M38 42h4"/></g>' : "";
  const beard = !long && r.chance(0.35) ? `<path d="M24 44 q2 18 16 18 t16 -18 q-3 8 -16 8 t-16 -8Z" fill="${hair}"/>` : "";
  const face = `<ellipse cx="40" cy="42" rx="16" ry="18" fill="${skin}"/><circle cx="33.5" cy="42" r="1.8" fill="#222"/><circle cx="46.500" cy="42" r="1.8" fill="#222"/><path d="M35 51 q5 4 10 0" stroke="#7a2e2e" stroke-width="1.8" fill="none" stroke-linecap="round"/>`;
  const body = `<path d="M12 84 q2 -22 28 -22 t28 22Z" fill="${r.pick(CLOTHES)}"/><rect x="34" y="54" width="12" height="12" fill="${skin}"/>`;
  return `<span class="avatar ${className}">${svg(80, 80, base + shape + body + face + beard + fringe + glasses)}</span>`;
}

function ridge(r, base, rough, color) {
  let path = `M0 200 L0 ${base}`;
  for (let x = 0; x <= 320; x += 20) path += ` L${x} ${(base - r.next() * rough).toFixed(1)}`;
  return `<path d="${path} L320 200Z" fill="${color}"/>`;
}

function hills(r) {
  const land = r.pick(LANDS);
  let wave = "";
  for (let i = 0; i < 3; i++) {
    const y = 95 + i * 32 + r.int(-8, 8);
    wave += r.chance(0.4) && i < 2 ? ridge(r, y, 44, land[2 - i])
      : `<path d="M0 ${y} Q80 ${y - r.int(10, 50)} 160 ${y} T320 ${y - r.int(-10, 25)} V200 H0Z" fill="${land[2 - i]}"/>`;
  }
  for (let i = 0; i < r.int(3, 9); i++) {
    const x = r.int(5, 315), h = r.int(14, 30), y = 188 - r.int(0, 26);
    wave += `<path d="M${x} ${y - h} l${h * 0.3} ${h} h${-h * 0.6}Z" fill="#163a2a" opacity=".8"/>`;
  }
  return wave;
}

function sea(r) {
  const water = gradient(["#5fa8d3", "#1b4965"]);
  let body = `${water.defs}<rect y="108" width="320" height="92" fill="${water.fill}"/>`;
  for (let i = 0; i < 26; i++) body += `<rect x="${r.int(-10, 310)}" y="${r.int(112, 160)}" width="${r.int(8, 44)}" height="1.2" fill="#fff" opacity="${(0.15 + r.next() * 0.4).toFixed(2)}"/>`;
  const sail = r.int(60, 250);
  body += `<path d="M${sail} 70 v42 h-24Z M${sail + 3} 78 v34 h15Z" fill="#fff"/><path d="M${sail - 26} 115 h48 l-6 8 h-36Z" fill="#7f4f24"/>`;
  return `${body}<path d="M0 172 Q90 ${r.int(150, 168)} 180 172 T320 164 V200 H0Z" fill="#e9d8a6"/>`;
}

function city(r) {
  let body = "";
  for (let layer = 0; layer < 2; layer++) {
    for (let x = -8; x < 320; ) {
      const w = r.int(18, 42), h = r.int(40, 120) - layer * 18, light = layer ? 26 : 42;
      body += `<rect x="${x}" y="${200 - h}" width="${w}" height="${h}" fill="hsl(222 22% ${light}%)"/>`;
      for (let wy = 206 - h; wy < 192; wy += 10) for (let wx = x + 4; wx < x + w - 5; wx += 8) {
        if (r.chance(0.45)) body += `<rect x="${wx}" y="${wy}" width="4" height="5" fill="#ffe08a" opacity=".85"/>`;
      }
      x += w + r.int(0, 4);
    }
  }
  return body;
}

function plate(r) {
  let body = `<rect width="320" height="200" fill="hsl(${r.int(15, 40)} 30% ${r.int(28, 72)}%)"/>`;
  for (let i = 0; i < 9; i++) body += `<rect y="${i * 24}" width="320" height="2" fill="#000" opacity=".08"/>`;
  body += '<ellipse cx="160" cy="108" rx="108" ry="84" fill="#000" opacity=".2"/><circle cx="160" cy="100" r="88" fill="#fdfcf8"/><circle cx="160" cy="100" r="66" fill="#efece3"/>';
  const hues = r.shuffle([8, 28, 48, 95, 120, 350, 20]);
  for (let i = 0; i < 38; i++) {
    const a = r.next() * 6.283, d = r.next() * 50;
    body += `<ellipse cx="${(160 + Math.cos(a) * d).toFixed(1)}" cy="${(100 + Math.sin(a) * d).toFixed(1)}" rx="${r.int(5, 17)}" ry="${r.int(4, 11)}" transform="rotate(${r.int(0, 180)} 160 100)" fill="hsl(${hues[i % 4]} ${r.int(55, 85)}% ${r.int(38, 62)}%)"/>`;
  }
  return body;
}

function bloom(r) {
  const hue = r.int(0, 359);
  const back = gradient([`hsl(${(hue + 100) % 360} 30% 30%)`, `hsl(${(hue + 140) % 360} 35% 55%)`], "0,0,1,1");
  let body = `${back.defs}<rect width="320" height="200" fill="${back.fill}"/>`;
  for (let i = 0; i < 14; i++) body += `<circle cx="${r.int(0, 320)}" cy="${r.int(0, 200)}" r="${r.int(8, 34)}" fill="hsl(${(hue + r.int(60, 160)) % 360} 40% 60%)" opacity=".18"/>`;
  for (let f = 0; f < r.int(1, 3); f++) {
    const x = r.int(70, 250), y = r.int(60, 130), petals = r.int(6, 13), size = r.int(26, 50);
    for (let i = 0; i < petals; i++) body += `<ellipse cx="${x}" cy="${y - size * 0.75}" rx="${size * 0.3}" ry="${size * 0.7}" transform="rotate(${(i * 360) / petals} ${x} ${y})" fill="hsl(${(hue + f * 24) % 360} 75% ${62 + (i % 3) * 6}%)"/>`;
    body += `<circle cx="${x}" cy="${y}" r="${size * 0.32}" fill="#f4b942"/>`;
  }
  return body;
}

function pet(r) {
  const hue = r.int(0, 359), fur = r.pick(["#d9a066", "#8f563b", "#4a4a52", "#e8e0d4", "#2f2a28", "#b98b5e"]), cat = r.chance(0.5);
  const ears = cat ? `<path d="M118 74 l6 -46 36 28Z M202 74 l-6 -46 -36 28Z" fill="${fur}"/>` : `<ellipse cx="112" cy="98" rx="18" ry="44" fill="${fur}"/><ellipse cx="208" cy="98" rx="18" ry="44" fill="${fur}"/>`;
  const whiskers = cat ? '<path d="M138 124 l-40 -8 M138 130 l-40 4 M182 124 l40 -8 M182 130 l40 4" stroke="#fff" stroke-width="1.500" opacity=".8"/>' : '<path d="M152 142 q8 22 16 0Z" fill="#e5737f"/>';
  return `<rect width="320" height="200" fill="hsl(${hue} 38% 70%)"/><rect y="150" width="320" height="50" fill="hsl(${hue} 32% 54%)"/><path d="M84 214 q8 -70 76 -70 t76 70Z" fill="${fur}"/>${ears}<ellipse cx="160" cy="100" rx="50" ry="48" fill="${fur}"/><ellipse cx="160" cy="126" rx="25" ry="19" fill="#fff" opacity=".75"/><circle cx="140" cy="96" r="7" fill="#1d1d1f"/><circle cx="180" cy="96" r="7" fill="#1d1d1f"/><circle cx="142" cy="94" r="2" fill="#fff"/><circle cx="182" cy="94" r="2" fill="#fff"/><path d="M153 115 h14 l-7 8Z" fill="#5b2c33"/>${whiskers}`;
}

function room(r) {
  const hue = r.int(0, 359);
  let body = `<rect width="320" height="200" fill="hsl(${hue} 26% 84%)"/><rect y="146" width="320" height="54" fill="hsl(28 36% ${r.int(38, 60)}%)"/><rect x="${r.int(190, 215)}" y="24" width="84" height="76" fill="#cfe8f7" stroke="#fff" stroke-width="6"/><path d="M236 24 v76" stroke="#fff" stroke-width="4"/>`;
  body += `<rect x="34" y="98" width="136" height="40" rx="14" fill="hsl(${(hue + 150) % 360} 38% 44%)"/><rect x="26" y="122" width="152" height="34" rx="10" fill="hsl(${(hue + 150) % 360} 38% 50%)"/><rect x="52" y="104" width="34" height="26" rx="6" fill="hsl(${(hue + 40) % 360} 65% 64%)" transform="rotate(-8 69 117)"/>`;
  for (let i = 0; i < 3; i++) body += `<rect x="${44 + i * 42}" y="${r.int(34, 48)}" width="32" height="${r.int(26, 38)}" fill="hsl(${r.int(0, 359)} 50% 62%)" stroke="#fff" stroke-width="3"/>`;
  return `${body}<path d="M276 162 q-22 -50 0 -66 q22 16 0 66Z M278 162 q-40 -24 -34 -50 q30 8 34 50Z" fill="#3f8f5b"/><path d="M262 158 h32 l-5 30 h-22Z" fill="#c97b4a"/>`;
}

function balloons(r) {
  let body = "";
  for (let i = 0; i < r.int(3, 7); i++) {
    const x = r.int(20, 300), y = r.int(26, 130), s = r.int(14, 34), hue = r.int(0, 359);
    body += `<path d="M${x - s * 0.5} ${y + s} L${x - s * 0.2} ${y + s * 1.6} H${x + s * 0.2} L${x + s * 0.5} ${y + s}" fill="none" stroke="#5b4636"/><rect x="${x - s * 0.22}" y="${y + s * 1.55}" width="${s * 0.44}" height="${s * 0.34}" fill="#7a5230"/><ellipse cx="${x}" cy="${y}" rx="${s}" ry="${s * 1.15}" fill="hsl(${hue} 72% 56%)"/><ellipse cx="${x}" cy="${y}" rx="${s * 0.55}" ry="${s * 1.15}" fill="hsl(${(hue + 40) % 360} 80% 66%)"/><ellipse cx="${x}" cy="${y}" rx="${s * 0.2}" ry="${s * 1.15}" fill="hsl(${hue} 72% 50%)"/>`;
  }
  return `${body}<path d="M0 182 Q100 ${r.int(150, 172)} 190 180 T320 170 V200 H0Z" fill="#55775a"/>`;
}

const SCENES = [hills, hills, sea, city, plate, bloom, pet, room, balloons];

/** A photo: one of several scenes, with a little grain as a camera has. */
export function photo(seed, part, className = "") {
  const r = random(seed, `photo ${part}`);
  const scene = r.pick(SCENES);
  const sky = gradient(r.pick(SKIES).slice().reverse());
  const sun = `<circle cx="${r.int(40, 280)}" cy="${r.int(25, 90)}" r="${r.int(12, 26)}" fill="#fff6d5" opacity=".9"/>`;
  const grain = `<filter id="n${gradients}"><feTurbulence type="fractalNoise" baseFrequency=".8" numOctaves="2" seed="${r.int(1, 99)}"/><feColorMatrix type="saturate" values="0"/></filter><rect width="320" height="200" filter="url(#n${gradients++})" opacity=".10"/>`;
  return `<div class="photo ${className}">${svg(320, 200, `${sky.defs}<rect width="320" height="200" fill="${sky.fill}"/>${sun}${scene(r)}${grain}`)}</div>`;
}

const PRODUCTS = {
  mug: (a, b) => `<path d="M52 58 h62 v62 a12 12 0 0 1 -12 12 h-38 a12 12 0 0 1 -12 -12Z" fill="${a}"/><path d="M114 72 q26 0 26 20 t-26 22" stroke="${a}" stroke-width="9" fill="none"/><ellipse cx="83" cy="58" rx="31" ry="7" fill="${b}"/>`,
  lamp: (a, b) => `<path d="M62 40 h56 l20 46 h-96Z" fill="${a}"/><rect x="87" y="86" width="6" height="52" fill="${b}"/><rect x="62" y="136" width="56" height="9" rx="4" fill="${b}"/><ellipse cx="90" cy="90" rx="42" ry="8" fill="#fff3c4" opacity=".8"/>`,
  backpack: (a, b) => `<path d="M66 50 q24 -30 48 0" stroke="${b}" stroke-width="8" fill="none"/><rect x="50" y="48" width="80" height="96" rx="22" fill="${a}"/><rect x="60" y="92" width="60" height="42" rx="10" fill="${b}"/><rect x="60" y="70" width="60" height="6" rx="3" fill="${b}"/>`,
  plant: (a, b) => `<g fill="#3f8f5b"><path d="M88 96 q-46 -8 -40 -52 q40 6 40 52Z"/><path d="M92 96 q46 -12 44 -54 q-44 8 -44 54Z"/><path d="M89 94 q-14 -40 4 -66 q18 28 -4 66Z" fill="#5bb37a"/></g><path d="M58 96 h64 l-8 48 h-48Z" fill="${a}"/><rect x="54" y="92" width="72" height="12" rx="4" fill="${b}"/>`,
  headphones: (a, b) => `<path d="M46 104 a44 48 0 0 1 88 0" stroke="${a}" stroke-width="11" fill="none"/><rect x="36" y="96" width="26" height="44" rx="12" fill="${b}"/><rect x="118" y="96" width="26" height="44" rx="12" fill="${b}"/>`,
  bottle: (a, b) => `<rect x="78" y="28" width="24" height="18" rx="5" fill="${b}"/><path d="M74 50 h32 q10 8 10 22 v62 a10 10 0 0 1 -10 10 h-32 a10 10 0 0 1 -10 -10 v-62 q0 -14 10 -22Z" fill="${a}"/><rect x="72" y="66" width="7" height="66" rx="3" fill="#fff" opacity=".35"/>`,
  chair: (a, b) => `<rect x="56" y="34" width="68" height="50" rx="12" fill="${a}"/><rect x="50" y="90" width="80" height="14" rx="6" fill="${a}"/><g stroke="${b}" stroke-width="7"><path d="M58 104 l-7 42"/><path d="M122 104 l7 42"/><path d="M64 84 v8"/><path d="M116 84 v8"/></g>`,
  scarf: (a, b) => `<path d="M44 60 q46 36 92 0 v26 q-46 36 -92 0Z" fill="${a}"/><path d="M92 92 h34 v56 h-34Z" fill="${a}"/><g stroke="${b}" stroke-width="5"><path d="M98 96 v52"/><path d="M112 96 v52"/><path d="M56 68 v26"/><path d="M74 78 v28"/><path d="M120 70 v22"/></g>`,
  shoe: (a, b) => `<path d="M34 76 q18 16 40 2 q24 30 60 36 q16 4 14 20 h-114Z" fill="${a}"/><rect x="32" y="128" width="118" height="13" rx="6" fill="${b}"/><g stroke="#fff" stroke-width="4"><path d="M76 92 l12 -8"/><path d="M86 102 l12 -8"/><path d="M97 111 l12 -8"/></g>`,
  book: (a, b) => `<rect x="52" y="34" width="80" height="112" rx="5" fill="${a}"/><rect x="52" y="34" width="13" height="112" fill="${b}"/><rect x="76" y="58" width="44" height="7" fill="#fff" opacity=".85"/><rect x="76" y="72" width="30" height="5" fill="#fff" opacity=".6"/><circle cx="98" cy="112" r="16" fill="${b}"/>`,
  watch: (a, b) => `<rect x="72" y="20" width="36" height="140" rx="9" fill="${b}"/><circle cx="90" cy="90" r="38" fill="${a}"/><circle cx="90" cy="90" r="30" fill="#fff"/><path d="M90 90 V70 M90 90 l14 8" stroke="#222" stroke-width="4" stroke-linecap="round"/>`,
};

/** The products in the order in which the phrase files name them. */
export const PRODUCT_NAMES = ["mug", "lamp", "backpack", "plant", "headphones", "bottle", "chair", "scarf", "shoe", "book", "watch"];

/** Product number `index` on a studio background. */
export function product(seed, index, className = "") {
  const r = random(seed, `product ${index}`);
  const hue = r.int(0, 359);
  const back = gradient([`hsl(${hue} 35% 94%)`, `hsl(${hue} 28% 78%)`]);
  const shape = PRODUCTS[PRODUCT_NAMES[index % PRODUCT_NAMES.length]];
  const main = `hsl(${r.int(0, 359)} ${r.int(25, 70)}% ${r.int(34, 58)}%)`;
  const second = `hsl(${r.int(0, 359)} ${r.int(15, 45)}% ${r.int(20, 36)}%)`;
  return `<div class="product ${className}">${svg(180, 180, `${back.defs}<rect width="180" height="180" fill="${back.fill}"/><ellipse cx="90" cy="149" rx="56" ry="8" fill="#000" opacity=".16"/>${shape(main, second)}`)}</div>`;
}

/** A map: streets, a river, parks and blocks. */
export function map(seed, dark) {
  const r = random(seed, "map");
  const [ground, street, park, water] = dark ? ["#24282f", "#3a404b", "#2c3b31", "#1d3346"] : ["#f2efe9", "#ffffff", "#cfe8c6", "#a9d3f0"];
  let body = `<rect width="360" height="320" fill="${ground}"/>`;
  for (let i = 0; i < 4; i++) body += `<rect x="${r.int(-20, 300)}" y="${r.int(0, 280)}" width="${r.int(40, 110)}" height="${r.int(30, 90)}" rx="6" fill="${park}"/>`;
  body += `<path d="M-10 ${r.int(40, 280)} Q120 ${r.int(0, 320)} 200 ${r.int(60, 260)} T370 ${r.int(20, 300)}" stroke="${water}" stroke-width="${r.int(16, 34)}" fill="none"/>`;
  for (let i = 0; i < 16; i++) {
    const x = r.int(0, 360), y = r.int(0, 320), w = r.pick([3, 4, 6, 9]);
    body += r.chance(0.5) ? `<path d="M${x} -5 L${x + r.int(-70, 70)} 325" stroke="${street}" stroke-width="${w}"/>` : `<path d="M-5 ${y} L365 ${y + r.int(-60, 60)}" stroke="${street}" stroke-width="${w}"/>`;
  }
  for (let i = 0; i < 3; i++) {
    const x = r.int(50, 310), y = r.int(60, 270);
    body += `<path d="M${x} ${y} c-14 -16 -14 -30 0 -32 c14 2 14 16 0 32Z" fill="#e63946"/><circle cx="${x}" cy="${y - 20}" r="5" fill="#fff"/>`;
  }
  return `<div class="map">${svg(360, 320, body)}</div>`;
}
