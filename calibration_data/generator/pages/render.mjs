/** Renders screens: node render.mjs KITS_FOLDER CHROMIUM SPECS.json OUT_FOLDER JOBS; prints one JSON line per finished screen. */

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { launch, ORIGIN, serve } from "./browser.mjs";
import { pageOf } from "./page.mjs";

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
  const queue = JSON.parse(readFileSync(specsPath, "utf8"));
  process.stdout.on("error", () => { queue.length = 0; }); // the reader is gone: stop, and let the browser clean up
  const browser = await launch(kits, executablePath);
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
