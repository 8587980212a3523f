/** The browser that draws screens, and the only files that its pages can reach. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
export const ORIGIN = "http://screens.invalid";
const TYPES = { ".css": "text/css", ".js": "text/javascript", ".html": "text/html", ".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf" };
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--font-render-hinting=none", "--disable-lcd-text", "--force-color-profile=srgb", "--hide-scrollbars", "--disable-partial-raster", "--lang=en-US",
  // A worker keeps several documents open; those behind must draw as fast as the one in front.
  "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding"];

/** Answers every request from the two folders, so that a page can reach nothing else. */
export function serve(route, kits, page) {
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

/** Starts chromium through the playwright-core of the folder `kits`. */
export const launch = (kits, executablePath) => createRequire(join(kits, "package.json"))("playwright-core").chromium.launch({ executablePath, args: FLAGS });
