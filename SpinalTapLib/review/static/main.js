// The two pages, the way between them, and the keys.

import { button, say } from "./dom.js";
import { Scan } from "./scan.js";
import { neighbour } from "./selection.js";
import { Sheet } from "./sheet.js";

const sheetNode = document.getElementById("sheet");
const scanNode = document.getElementById("scan");
const sheet = new Sheet(sheetNode, (id) => go(`#scan/${id}`));
const scan = new Scan(scanNode, {
  onBack: () => go("#"),
  onStep: (by) => {
    const next = neighbour(sheet.visible, scan.id, by);
    if (next && next !== scan.id) go(`#scan/${next}`);
  },
  onChange: (entry) => {
    sheet.replace(entry);
    sheet.show(entry.id);
  },
  nextId: () => neighbour(sheet.visible, scan.id, 1),
});

function go(hash) {
  if (location.hash === hash || (hash === "#" && !location.hash)) route();
  else location.hash = hash;
}

async function route() {
  const id = location.hash.startsWith("#scan/") ? location.hash.slice(6) : "";
  sheetNode.hidden = Boolean(id);
  scanNode.hidden = !id;
  if (!id) {
    document.title = `${sheet.title.textContent} - SpinalTap review`;
    sheet.show();
    return sheet.select(sheet.id);
  }
  sheet.id = id;
  try {
    await scan.open(id);
  } catch (error) {
    say(error.message, "error");
    await sheet.load();
    go("#");
  }
  return undefined;
}

/** Keys work wherever the focus is, but not while the reader writes or chooses from a list. */
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.("textarea, input:not([type=checkbox]), select")) return;
  const page = scanNode.hidden ? sheet : scan;
  if (page.key(event)) {
    event.preventDefault();
  }
}

function addTheme(header) {
  const root = document.documentElement;
  const dark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const theme = button("", () => (root.dataset.theme = dark() ? "light" : "dark"), { kind: "plain theme" });
  theme.setAttribute("aria-label", "Light or dark");
  theme.textContent = "◐";
  header.append(theme);
}

addTheme(sheetNode.querySelector("header"));
addTheme(scanNode.querySelector("header"));
document.addEventListener("keydown", onKey);
window.addEventListener("hashchange", route);
try {
  await sheet.load();
  await route();
} catch (error) {
  say(error.message, "error");
}
