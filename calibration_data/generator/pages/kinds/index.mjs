/** The kinds of screens: each has its views, functions that draw a page with the widgets of a kit, and the view that it usually shows. */

import * as chat from "./chat.mjs";
import * as feed from "./feed.mjs";
import * as login from "./login.mjs";
import * as mail from "./mail.mjs";
import * as notes from "./notes.mjs";
import * as search from "./search.mjs";
import * as settings from "./settings.mjs";
import * as shop from "./shop.mjs";

const KINDS = { chat, mail, search, login, settings, feed, shop, notes };

/** The name of the view of `spec`, "shop/cart", and the function that draws it: `spec.view` if it is given, else what suits its scene. */
export function viewOf(spec, r) {
  const { views, usual } = KINDS[spec.kind];
  const name = spec.view ?? `${spec.kind}/${usual(spec, r)}`;
  const draw = views[name.slice(spec.kind.length + 1)];
  if (!draw || !name.startsWith(`${spec.kind}/`)) throw new Error(`unknown view ${name}; views of ${spec.kind}: ${Object.keys(views).join(", ")}`);
  return { name, draw };
}
