// Make elements, and show messages.

/** Return an element. `properties` are properties or, with a dash or `role`, attributes; `on` holds listeners. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "on") Object.entries(value).forEach(([event, listener]) => node.addEventListener(event, listener));
    else if (name === "style") Object.entries(value).forEach(([key, text]) => node.style.setProperty(key, text));
    else if (name.includes("-") || name === "role" || name === "for") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

/** Return a button with its key, if it has one, for sighted users and for screen readers. */
export function button(words, listener, { key = "", kind = "", title = "" } = {}) {
  const node = el("button", { type: "button", className: kind, title, on: { click: listener } }, words);
  if (key) {
    node.append(el("kbd", { "aria-hidden": "true" }, key));
    node.setAttribute("aria-keyshortcuts", key.toLowerCase());
  }
  return node;
}

/** Return a colour for CSS. */
export function rgb([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}

let fading = 0;

/** Show a sentence at the bottom of the page; screen readers read it out. */
export function say(words, kind = "") {
  const box = document.getElementById("message");
  box.textContent = words;
  box.className = words ? `shown ${kind}` : "";
  clearTimeout(fading);
  if (words && kind !== "error") fading = setTimeout(() => say(""), 4000);
}
