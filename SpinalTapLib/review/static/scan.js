// The page of one scan: slices, surfaces, table, corrections, exports.

import * as api from "./api.js";
import { button, el, rgb, say } from "./dom.js";
import { rowInBox, rowNear } from "./geometry.js";
import { Judging } from "./judging.js";
import { Viewer } from "./viewer.js";

const FORMATS = ["stl", "obj", "ply"];

export class Scan {
  /** `onBack()`: to the sheet; `onStep(by)`: to a neighbour; `onChange(entry)`: the result has changed. */
  constructor(node, { onBack, onStep, onChange, nextId }) {
    Object.assign(this, { node, onBack, onStep, onChange, nextId, id: "", now: null, chosen: null, busy: false });
    this.ahead = new Map();
    this.viewer = new Viewer({
      onBox: (box) => this.correct({ kind: "box", box }),
      onBoxMoves: (box) => this.#preview(box),
      onPoint: (point) => this.#mark(rowNear(this.now?.rows ?? [], point)),
    });
    this.judging = new Judging((entry, verdict) => {
      this.#update({ ...this.now, ...pick(entry, ["verdict", "note", "who", "when", "changed"]) });
      this.onChange(entry);
      if (verdict === "accepted" || verdict === "rejected") this.onStep(1);
    });
    this.judging.onConflict = () => this.open(this.id);
    this.#build();
  }

  #build() {
    this.heading = el("h1", {});
    this.status = el("p", { className: "status", "aria-live": "polite" });
    this.names = toggle("Names", "L", true, (on) => this.viewer.setNames(on));
    this.s1 = toggle("S1 box", "B", true, (on) => this.viewer.setBox(on));
    this.flat = el("img", { className: "flat", hidden: true });
    this.side = el("aside", { "aria-label": "Result" });
    this.node.replaceChildren(
      el(
        "header", {},
        button("Sheet", () => this.onBack(), { key: "Esc", kind: "plain" }),
        this.heading,
        el("div", { className: "tools" }, this.names, this.s1),
        button("Previous", () => this.onStep(-1), { key: "K" }),
        button("Next", () => this.onStep(1), { key: "J" }),
      ),
      el("main", {}, el("div", { className: "picture" }, this.viewer.node, this.flat, this.status), this.side),
    );
  }

  /** Show a scan: its table at once, then its slices, then its surfaces. */
  async open(id) {
    this.id = id;
    this.chosen = null;
    const images = this.#images(id);
    images.catch(() => {}); // told below, where they are needed
    const now = await api.scan(id, { open: true });
    if (this.id !== id) return;
    this.node.dataset.ready = "";
    this.#update(now);
    this.viewer.boxShown = Boolean(now.boxIsThere); // without an S1 in view, the box waits until it is asked for
    this.s1.setAttribute("aria-pressed", this.viewer.boxShown);
    await this.#picture(id, now, images);
    if (this.id !== id) return;
    this.node.dataset.ready = id;
    await this.#surfaces(id);
  }

  #images(id) {
    const known = this.ahead.get(id);
    this.ahead.clear();
    return known ?? Promise.all([api.bytes(id, "scan.nii.gz"), api.bytes(id, "labels.nii.gz")]);
  }

  async #picture(id, now, images) {
    this.flat.hidden = true;
    this.viewer.node.style.visibility = "";
    try {
      if (now.problem || now.noScan) throw new Error(now.problem || now.noScan);
      const [scan, labels] = await images;
      await this.viewer.start();
      if (this.id !== id) return;
      await this.viewer.show(scan, labels, now.colours);
      this.viewer.mark(now.rows, now.box);
      this.#choose(now.rows[Math.floor(now.rows.length / 2)], { mark: false });
      this.#tell("");
    } catch (error) {
      if (this.id !== id) return;
      this.viewer.node.style.visibility = "hidden";
      this.flat.hidden = Boolean(now.problem);
      this.flat.src = now.problem ? "" : api.address(id, `picture.jpg?v=${now.version}`);
      this.flat.alt = `Mid-sagittal image of ${now.name}`;
      this.#tell(error.message);
    }
  }

  async #surfaces(id) {
    const shown = this.viewer.nv && this.flat.hidden;
    const buffer = shown && (await api.bytes(id, "surfaces.mz3").catch(() => null)); // a single slice has none
    if (this.id === id) this.#prefetch(); // first, as drawing surfaces takes seconds without a graphics card
    if (!shown) return;
    if (this.id === id) await this.viewer.surfaces(buffer);
    if (this.id === id) this.node.dataset.surfaces = id;
  }

  /** Get the next scan's images while the reader looks at this one. */
  #prefetch() {
    const next = this.nextId();
    if (!next || next === this.id || this.ahead.has(next)) return;
    const images = this.#images(next);
    images.catch(() => this.ahead.delete(next));
    this.ahead.set(next, images);
  }

  #update(now) {
    this.now = now;
    this.heading.textContent = now.name;
    document.title = `${now.name} - SpinalTap review`;
    this.judging.show(now);
    this.side.replaceChildren(
      ...(now.problem
        ? [el("p", { className: "hint" }, now.problem)]
        : [
            el("p", { className: "summary" }, now.summary),
            ...now.hints.map((words) => el("p", { className: "hint" }, words)),
            this.#table(now),
            this.#corrections(now),
            this.judging.node,
            this.#history(now),
            this.#exports(now),
          ]),
    );
    this.#mark(now.rows?.find((row) => row.index === this.chosen?.index) ?? null);
  }

  #table(now) {
    const heads = ["Level", "", "Height", "Notes"].map((words) => el("th", { scope: "col" }, words));
    heads[1].append(el("span", { className: "unseen" }, "Confidence"));
    this.lines = new Map(now.rows.map((row) => [row.index, this.#line(row)]));
    const body = el("tbody", {}, ...this.lines.values());
    return el("table", { "aria-label": "Vertebrae" }, el("thead", {}, el("tr", {}, heads)), body);
  }

  #line(row) {
    const go = button(row.level, () => this.#choose(row), { kind: "level", title: `Show ${row.level}` });
    go.prepend(el("i", { className: "colour", style: { background: rgb(row.colour) }, "aria-hidden": "true" }));
    return el(
      "tr", { on: { click: () => this.#choose(row) } },
      el("td", {}, go),
      el("td", { className: `word ${row.word}`, title: row.doubt }, row.word),
      el("td", { className: "number" }, `${row.height.toFixed(1)} mm`),
      el("td", { className: "note" }, row.note),
    );
  }

  #corrections(now) {
    const off = Boolean(now.noScan);
    const send = (words, correction, options) => {
      const made = button(words, () => this.correct(correction()), options);
      made.disabled = off;
      return made;
    };
    this.level = el("select", { "aria-label": "Level of the chosen vertebra", disabled: off });
    this.level.append(
      el("option", { value: "" }, "This is …"),
      ...now.levelNames.map((name) => el("option", { value: name }, name)),
    );
    this.level.addEventListener("change", () => {
      const level = this.level.value;
      this.level.value = "";
      if (level && this.chosen) this.correct({ kind: "pin", index: this.chosen.index, level });
    });
    this.drop = send("Drop", () => ({ kind: "drop", index: this.chosen.index }), { title: "This is not a vertebra" });
    this.chosenName = el("span", { className: "chosen" });
    const undo = send("Undo", () => ({ kind: "undo" }), { key: "Z" });
    undo.disabled = off || !now.canUndo;
    return el(
      "section", { className: "corrections", "aria-label": "Corrections" },
      el("h2", {}, "Correct the levels"),
      off ? el("p", { className: "hint" }, now.noScan) : null,
      el("div", { className: "buttons" }, this.chosenName, this.level, this.drop),
      el(
        "div", { className: "buttons" },
        send("Shift up", () => ({ kind: "shift", steps: 1 }), { title: "L5 becomes L4" }),
        send("Shift down", () => ({ kind: "shift", steps: -1 }), { title: "L4 becomes L5" }),
        now.boxByUser ? send("Put back on S1", () => ({ kind: "reset" }), { title: "Counts from the S1 that was found" }) : null,
        undo,
      ),
      ...now.others.map(({ number, words }) =>
        el("div", { className: "buttons" }, send(`Take the other count: ${words}`, () => ({ kind: "alternative", number }))),
      ),
      off ? null : el("p", { className: "help" }, boxHelp(now)),
    );
  }

  #history(now) {
    const steps = now.history.map((words, i) =>
      el("li", i === now.history.length - 1 ? { "aria-current": "step" } : {}, words),
    );
    return el("details", { open: now.history.length > 1 }, el("summary", {}, "History"), el("ol", {}, steps));
  }

  #exports(now) {
    const link = (words, name) => el("a", { className: "button", href: api.address(now.id, name), download: "" }, words);
    return el(
      "section", { className: "exports", "aria-label": "Save" },
      el("h2", {}, "Save"),
      el(
        "div", { className: "buttons" },
        ...FORMATS.map((format) => link(`Surfaces (${format.toUpperCase()})`, `surfaces.zip?format=${format}`)),
        link("Table (CSV)", "measurements.csv"),
        link("Report (PNG)", "report.png"),
      ),
    );
  }

  /** Show a vertebra in all views. */
  #choose(row, { mark = true } = {}) {
    if (!row) return;
    this.viewer.goTo(row.center);
    if (mark) this.#mark(row);
  }

  #mark(row) {
    this.chosen = row;
    for (const [index, line] of this.lines ?? []) line.setAttribute("aria-selected", index === row?.index);
    if (!this.chosenName) return;
    this.chosenName.textContent = row ? row.level : "Choose a vertebra";
    this.level.disabled = this.drop.disabled = !row || Boolean(this.now.noScan);
  }

  #preview(box) {
    const row = box && rowInBox(this.now.rows, box);
    const words = row ? `Let go to make ${row.level} S1` : "Let go with a vertebra in the box";
    this.#tell(box ? words : "");
  }

  #tell(words) {
    this.status.textContent = words;
    this.status.hidden = !words;
  }

  /** Correct the result: the new levels are shown at once, and the files are written behind them. */
  async correct(correction) {
    const { id } = this;
    if (this.busy || !this.now || this.now.noScan) return;
    this.busy = true;
    this.#tell("Counting …");
    try {
      await this.#show(id, await api.correct(id, { ...correction, version: this.now.version }));
      this.#tell("Saving …");
      const now = await api.saved(id);
      if (this.id === id) this.#update(now);
      this.onChange(now);
      await this.#surfaces(id);
      say("The levels were counted again and saved."); // from here on the next correction is taken
      this.#tell("");
    } catch (error) {
      say(error.message, "error");
      this.#tell("");
      if (this.id === id) await this.#show(id, await api.scan(id)).catch(() => {});
    } finally {
      this.busy = false;
    }
  }

  async #show(id, now) {
    if (this.id !== id) return;
    const same = now.version === this.now.version;
    this.#update(now);
    this.viewer.mark(now.rows, now.box);
    this.node.dataset.version = now.version;
    if (!same && this.viewer.nv) await this.viewer.relabel(await api.bytes(id, "labels.nii.gz"), now.colours);
  }

  /** Return whether a key meant something here. */
  key(event) {
    const actions = {
      j: () => this.onStep(1),
      k: () => this.onStep(-1),
      a: () => this.judging.judge("accepted"),
      r: () => this.judging.judge("rejected"),
      n: () => this.judging.note.focus(),
      l: () => this.names.click(),
      b: () => this.s1.click(),
      z: () => this.now?.canUndo && this.correct({ kind: "undo" }),
      Escape: () => this.onBack(),
    };
    actions[event.key]?.();
    return event.key in actions;
  }
}

function boxHelp(now) {
  if (!now.boxIsThere) return "Show the S1 box and drag it onto S1: all levels are counted from there.";
  return "S1 is wrong? Drag its box in the image onto S1: all levels are counted again.";
}

function toggle(words, key, on, listener) {
  const made = button(words, () => {
    const now = made.getAttribute("aria-pressed") !== "true";
    made.setAttribute("aria-pressed", now);
    listener(now);
  }, { key, kind: "toggle" });
  made.setAttribute("aria-pressed", on);
  return made;
}

function pick(source, names) {
  return Object.fromEntries(names.map((name) => [name, source[name]]));
}
