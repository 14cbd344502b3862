// The sheet: every result as a thumbnail, the most doubtful first, and the chosen one large beside them.

import * as api from "./api.js";
import { button, el } from "./dom.js";
import { Judging } from "./judging.js";
import { FILTERS, chosen, counts, isOpen, neighbour, progressWords } from "./selection.js";

const MARKS = { accepted: "✓", rejected: "✗", open: "" };
const SURE = 0.1;
const LIKELY = 0.4;

export class Sheet {
  /** `onOpen(id)`: the reader opens a scan. */
  constructor(node, onOpen) {
    Object.assign(this, { node, onOpen, entries: [], id: "", filter: "all", openOnly: false, words: "" });
    this.cards = new Map();
    this.judging = new Judging((entry, verdict) => this.#judged(entry, verdict));
    this.judging.onConflict = () => this.load();
    this.#build();
  }

  #build() {
    this.title = el("h1", {});
    this.bar = el("div", { className: "bar", role: "progressbar", "aria-label": "Judged", "aria-valuemin": 0 }, el("i"));
    this.left = el("span", { className: "left" });
    this.chips = el("div", { className: "chips", role: "group", "aria-label": "Which results" });
    this.only = el("input", { type: "checkbox", on: { change: () => this.#choose({ openOnly: this.only.checked }) } });
    this.search = el("input", {
      type: "search", placeholder: "Name", "aria-label": "Part of a name",
      on: { input: () => this.#choose({ words: this.search.value }) },
    });
    const list = el("a", { className: "button", href: api.JUDGEMENTS, download: "" }, "Save list (CSV)");
    this.list = el("div", { className: "cards", role: "listbox", "aria-label": "Results", tabIndex: -1 });
    this.empty = el("p", { className: "empty", hidden: true }, "No result matches these filters.");
    this.detail = el("aside", { className: "detail", "aria-label": "The chosen result" });
    this.node.replaceChildren(
      el("header", {}, this.title, el("div", { className: "progress" }, this.bar, this.left), list),
      el("nav", {}, this.chips, el("label", {}, this.only, " Not judged yet"), this.search,
        el("p", { className: "legal" }, "For research and teaching. Not a medical device.")),
      el("main", {}, el("div", { className: "list" }, this.list, this.empty), this.detail),
    );
  }

  async load() {
    const { title, entries } = await api.sheet();
    this.entries = entries;
    this.title.textContent = title;
    this.cards = new Map(entries.map((entry) => [entry.id, this.#card(entry)]));
    if (!this.cards.has(this.id)) this.id = entries.find(isOpen)?.id ?? entries[0]?.id ?? "";
    this.show();
  }

  /** Show the entries of the filter; `kept` stays on the sheet although the filter has lost it. */
  show(kept = "") {
    this.visible = chosen(this.entries, { ...this, kept });
    this.list.replaceChildren(...this.visible.map(({ id }) => this.cards.get(id)));
    this.empty.hidden = this.visible.length > 0;
    if (!this.visible.some(({ id }) => id === this.id)) this.id = this.visible[0]?.id ?? "";
    this.#chips();
    this.select(this.id, { focus: false });
  }

  #chips() {
    const found = counts(this.entries);
    const all = found.readable;
    this.left.textContent = progressWords(found.judged, all);
    this.bar.firstChild.style.width = `${(100 * found.judged) / Math.max(all, 1)}%`;
    this.bar.setAttribute("aria-valuenow", found.judged);
    this.bar.setAttribute("aria-valuemax", all);
    this.chips.replaceChildren(
      ...FILTERS.filter(({ id }) => id === "all" || found[id]).map(({ id, words }) => {
        const chip = button(`${words} `, () => this.#choose({ filter: id }), { kind: "chip" });
        chip.append(el("span", {}, String(found[id])));
        chip.setAttribute("aria-pressed", id === this.filter);
        return chip;
      }),
    );
  }

  #choose(change) {
    Object.assign(this, change);
    this.show();
  }

  #card(entry) {
    const picture = entry.problem
      ? el("div", { className: "no-picture" }, "!")
      : el("img", { src: api.address(entry.id, `thumbnail.jpg?v=${entry.version}`), alt: "", loading: "lazy" });
    const words = [entry.name, entry.levels, entry.doubtWords, entry.problem, entry.verdict].filter(Boolean).join(", ");
    return el(
      "div",
      {
        className: "card", role: "option", tabIndex: -1, "aria-label": words, "data-verdict": entry.verdict,
        "data-id": entry.id,
        on: { click: () => this.select(entry.id), dblclick: () => this.onOpen(entry.id) },
      },
      el("span", { className: "mark", "aria-hidden": "true" }, MARKS[entry.verdict]),
      picture,
      el("strong", { title: entry.name }, entry.name),
      el("span", { className: "levels" }, entry.levels || " "),
      el("span", { className: `doubt ${grade(entry)}` }, entry.doubtWords),
    );
  }

  /** Choose a result and show it large. */
  select(id, { focus = true } = {}) {
    this.id = id;
    for (const [key, card] of this.cards) {
      card.setAttribute("aria-selected", key === id);
      card.tabIndex = key === id ? 0 : -1;
    }
    const card = this.cards.get(id);
    const entry = this.entry;
    if (!entry) return this.detail.replaceChildren();
    card.scrollIntoView({ block: "nearest" });
    if (focus) card.focus({ preventScroll: true });
    this.#detail(entry);
    const next = this.visible.find(({ id: other }) => other === neighbour(this.visible, id, 1));
    if (next && next !== entry && !next.problem) new Image().src = picture(next);
    return undefined;
  }

  get entry() {
    return this.entries.find(({ id }) => id === this.id);
  }

  #detail(entry) {
    this.judging.show(entry);
    const open = button("Open scan", () => this.onOpen(entry.id), { key: "O", kind: "primary" });
    this.detail.replaceChildren(
      ...(entry.problem ? [] : [el("img", { src: picture(entry), alt: `Mid-sagittal image of ${entry.name}` })]),
      el(
        "div",
        { className: "about" },
        el("h2", {}, entry.name),
        entry.problem
          ? el("p", { className: "hint" }, entry.problem)
          : el("p", {}, `${entry.count} vertebrae, ${entry.levels}. ${entry.sentence}.`),
        ...entry.hints.map((words) => el("p", { className: "hint" }, words)),
        entry.notes.length ? el("ul", { className: "notes" }, entry.notes.map((words) => el("li", {}, words))) : null,
        entry.problem ? null : this.judging.node,
        entry.problem ? null : open,
      ),
    );
  }

  #judged(entry, verdict) {
    this.replace(entry);
    const next = neighbour(this.visible, entry.id, 1);
    if (!verdict || verdict === "open") return this.show(entry.id);
    this.id = next;
    this.show();
    if (!this.node.hidden) this.select(this.id);
    return undefined;
  }

  /** Take up a result that has changed. */
  replace(entry) {
    this.entries = this.entries.map((other) => (other.id === entry.id ? { ...other, ...entry } : other));
    this.cards.set(entry.id, this.#card(this.entries.find(({ id }) => id === entry.id)));
  }

  step(by) {
    this.select(neighbour(this.visible, this.id, by));
  }

  /** Return whether a key meant something here. */
  key(event) {
    const columns = getComputedStyle(this.list).gridTemplateColumns.split(" ").length;
    const steps = { j: 1, k: -1, ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    const inList = this.list.contains(document.activeElement) || document.activeElement === document.body;
    if (event.key in steps && (inList || event.key.length === 1)) this.step(steps[event.key]);
    else if (event.key === "a") this.judging.judge("accepted");
    else if (event.key === "r") this.judging.judge("rejected");
    else if (event.key === "n" && this.entry && !this.entry.problem) this.judging.note.focus();
    else if (event.key === "o" || (event.key === "Enter" && inList)) this.entry?.problem || this.onOpen(this.id);
    else return false;
    return true;
  }
}

function picture(entry) {
  return api.address(entry.id, `picture.jpg?v=${entry.version}`);
}

function grade({ doubt }) {
  return doubt <= SURE ? "sure" : doubt <= LIKELY ? "likely" : "check";
}
