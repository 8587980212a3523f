/** Renders screens: node render.mjs KITS_FOLDER CHROMIUM SPECS.json OUT_FOLDER JOBS; prints one JSON line per finished screen. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import { pageOf } from "./page.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const ORIGIN = "http://screens.invalid";
const TYPES = { ".css": "text/css", ".js": "text/javascript", ".html": "text/html", ".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf" };
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--font-render-hinting=none", "--disable-lcd-text", "--force-color-profile=srgb", "--hide-scrollbars", "--disable-partial-raster", "--lang=en-US"];

/** Answers every request from the two folders, so that a page can reach nothing else. */
function serve(route, kits, page) {
  const { pathname } = new URL(route.request().url());
  if (pathname === "/screen.html") return route.fulfill({ contentType: "text/html; charset=utf-8", body: page() });
  const [, root, ...rest] = pathname.split("/");
  const base = { kits: join(kits, "node_modules"), pages: HERE }[root];
  const path = base && normalize(join(base, decodeURIComponent(rest.join("/"))));
  if (!path || !path.startsWith(base)) return route.abort();
  try {
    return route.fulfill({ contentType: TYPES[extname(path)] ?? "application/octet-stream", body: readFileSync(path) });
  } catch {
    return route.abort();
  }
}

async function worker(browser, kits, out, queue) {
  let spec = null;
  let context = null;
  let scale = null;
  for (;;) {
    spec = queue.shift();
    if (!spec) break;
    if (!context || scale !== spec.scale) {
      await context?.close();
      scale = spec.scale;
      context = await browser.newContext({ viewport: { width: spec.width_css, height: spec.height_css }, deviceScaleFactor: scale, locale: "en-US", timezoneId: "UTC", reducedMotion: "reduce" });
      await context.route("**/*", (route) => serve(route, kits, () => pageOf(spec)));
    }
    const page = await context.newPage();
    const failures = [];
    page.on("pageerror", (error) => failures.push(error.message));
    await page.goto(`${ORIGIN}/screen.html`, { waitUntil: "load" });
    await page.evaluate(() => window.prepareScreen());
    if (failures.length) throw new Error(`${spec.id}: ${failures[0]}`);
    const image = join(out, `${spec.id}.png`);
    await page.screenshot({ path: image, caret: "initial", animations: "disabled" });
    const measured = await page.evaluate(() => window.measureScreen());
    await page.close();
    process.stdout.write(`${JSON.stringify({ id: spec.id, image, ...measured })}\n`);
  }
  await context?.close();
}

async function main([kits, executablePath, specsPath, out, jobs]) {
  const { chromium } = createRequire(join(kits, "package.json"))("playwright-core");
  const queue = JSON.parse(readFileSync(specsPath, "utf8"));
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  try {
    await Promise.all(Array.from({ length: Number(jobs) }, () => worker(browser, kits, out, queue)));
  } finally {
    await browser.close();
  }
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${String(error.message ?? error).split("\n")[0]}\n`);
  process.exitCode = 1;
});
