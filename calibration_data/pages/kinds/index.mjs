/** The kinds of screens: each draws the page of one `spec` with the widgets of a kit. */

import { chat } from "./chat.mjs";
import { feed } from "./feed.mjs";
import { login } from "./login.mjs";
import { mail } from "./mail.mjs";
import { notes } from "./notes.mjs";
import { search } from "./search.mjs";
import { settings } from "./settings.mjs";
import { shop } from "./shop.mjs";

export const KINDS = { chat, mail, search, login, settings, feed, shop, notes };
