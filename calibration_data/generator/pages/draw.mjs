/** Draws thousands of screens: node draw.mjs KITS_FOLDER CHROMIUM OUT_FOLDER JOBS; specifications come as JSON lines on stdin, one JSON line per screen goes out. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { launch, ORIGIN, serve } from "./browser.mjs";
import { headOf, screenOf, shellOf } from "./page.mjs";

const QUALITY = 85;
// A document is loaded anew after so many screens: what kits leave behind stays small.
const SCREENS_PER_DOCUMENT = 150;
const LIMIT_MS = 60_000;

/** The documents of one worker, one for each kind of head. */
class Documents {
  constructor(context, heads) {
    Object.assign(this, { context, heads, open: new Map() });
  }

  async of(spec) {
    const { key, html } = headOf(spec);
    let entry = this.open.get(key);
    if (entry && entry.used >= SCREENS_PER_DOCUMENT) {
      await entry.page.close();
      entry = null;
    }
    entry ??= await this.load(key, html);
    entry.used += 1;
    return entry;
  }

  async load(key, html) {
    const page = await this.context.newPage();
    const entry = { page, used: 0, failures: [], size: "", cdp: await this.context.newCDPSession(page) };
    page.on("pageerror", (error) => entry.failures.push(error.message));
    this.heads.current = html;
    await page.goto(`${ORIGIN}/screen.html`, { waitUntil: "load" });
    this.open.set(key, entry);
    return entry;
  }

  async drop(spec) {
    const { key } = headOf(spec);
    const entry = this.open.get(key);
    this.open.delete(key);
    await entry?.page.close().catch(() => {});
  }
}

async function drawn(documents, spec, out) {
  const entry = await documents.of(spec);
  const size = { width: spec.width_css, height: spec.height_css, deviceScaleFactor: spec.scale, mobile: false };
  if (entry.size !== JSON.stringify(size)) await entry.cdp.send("Emulation.setDeviceMetricsOverride", size);
  entry.size = JSON.stringify(size);
  entry.failures.length = 0;
  const measured = await entry.page.evaluate((screen) => window.showScreen(screen), screenOf(spec));
  if (entry.failures.length) throw new Error(entry.failures[0]);
  const { data } = await entry.cdp.send("Page.captureScreenshot", { format: "webp", quality: QUALITY });
  writeFileSync(join(out, `${spec.id}.webp`), Buffer.from(data, "base64"));
  return measured;
}

/** What `promise` gives, or an error when a page does not answer. */
function inTime(promise) {
  let timer = null;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`no answer in ${LIMIT_MS / 1000} s`)), LIMIT_MS); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const firstLine = (error) => String(error.message ?? error).split("\n")[0];

async function worker(browser, kits, out, next) {
  const context = await browser.newContext({ viewport: null, locale: "en-US", timezoneId: "UTC", reducedMotion: "reduce" });
  const heads = { current: "" };
  await context.route("**/*", (route) => serve(route, kits, () => shellOf(heads.current)));
  const documents = new Documents(context, heads);
  for (let spec; (spec = await next()); ) {
    try {
      process.stdout.write(`${JSON.stringify({ id: spec.id, ...(await inTime(drawn(documents, spec, out))) })}\n`);
    } catch (error) {
      if (!browser.isConnected()) throw new Error("chromium has stopped");
      await documents.drop(spec);
      process.stdout.write(`${JSON.stringify({ id: spec.id, error: firstLine(error) })}\n`);
    }
  }
  await context.close();
}

async function main([kits, executablePath, out, jobs]) {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  let heard = true;
  process.stdout.on("error", () => { heard = false; }); // the reader is gone: stop, and let the browser clean up
  const next = async () => { const { value, done } = await lines.next(); return done || !heard ? null : JSON.parse(value); };
  const browser = await launch(kits, executablePath);
  try {
    await Promise.all(Array.from({ length: Number(jobs) }, () => worker(browser, kits, out, next)));
  } finally {
    await browser.close();
    process.stdin.destroy();
  }
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(`${firstLine(error)}\n`);
  process.exitCode = 1;
  process.stdin.destroy();
});
