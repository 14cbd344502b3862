// The verdict and the note on one result: the same part on the sheet and on the page of a scan.

import * as api from "./api.js";
import { button, el, say } from "./dom.js";

const WORDS = { accepted: "Accepted", rejected: "Rejected", open: "Not judged yet" };

/** Say what was judged, by whom and when. */
export function verdictWords(entry) {
  if (entry.changed) return "Changed after it was judged: judge it again";
  const when = entry.when ? new Date(entry.when).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "";
  return entry.verdict === "open" ? WORDS.open : `${WORDS[entry.verdict]} by ${entry.who}, ${when}`;
}

export class Judging {
  /** `onJudged(entry, verdict)`: the server has stored a judgement; `verdict` is empty for a note alone. */
  constructor(onJudged) {
    this.onJudged = onJudged;
    this.entry = null;
    this.words = el("p", { className: "verdict" });
    this.accept = button("Accept", () => this.judge("accepted"), { key: "A", kind: "accept" });
    this.reject = button("Reject", () => this.judge("rejected"), { key: "R", kind: "reject" });
    this.take = button("Take back", () => this.judge("open"), { kind: "plain" });
    this.note = el("textarea", {
      rows: 2, placeholder: "Note (N)", "aria-label": "Note on this result", maxLength: 4000,
      on: { blur: () => this.saveNote(), keydown: (event) => this.#key(event) },
    });
    const buttons = el("div", { className: "buttons" }, this.accept, this.reject, this.take);
    this.node = el("section", { className: "judging", "aria-label": "Verdict" }, this.words, buttons, this.note);
  }

  show(entry) {
    if (this.entry && this.entry.id !== entry.id) this.saveNote();
    if (this.entry?.id !== entry.id || document.activeElement !== this.note) this.note.value = entry.note;
    this.entry = entry;
    this.words.textContent = verdictWords(entry);
    this.words.dataset.verdict = entry.verdict;
    this.accept.setAttribute("aria-pressed", entry.verdict === "accepted");
    this.reject.setAttribute("aria-pressed", entry.verdict === "rejected");
    this.take.hidden = entry.verdict === "open";
    for (const each of [this.accept, this.reject, this.take, this.note]) each.disabled = Boolean(entry.problem);
  }

  async judge(verdict) {
    if (this.entry && !this.entry.problem) await this.#send(this.entry, verdict, this.note.value, verdict);
  }

  async saveNote() {
    const { entry } = this;
    if (entry && !entry.problem && this.note.value.trim() !== entry.note) {
      await this.#send(entry, entry.verdict, this.note.value, "");
    }
  }

  async #send(entry, verdict, note, judged) {
    entry.note = note.trim();
    try {
      const answer = await api.judge(entry.id, { verdict, note, version: entry.version });
      say(`${entry.name}: ${judged ? WORDS[judged].toLowerCase() : "note saved"}.`);
      this.onJudged(answer, judged);
    } catch (error) {
      entry.note = null; // what is in the field is not stored: the next try sends it again
      say(error.message, "error");
      if (error.conflict) this.onConflict?.(entry);
    }
  }

  #key(event) {
    if (event.key === "Escape" || (event.key === "Enter" && (event.ctrlKey || event.metaKey))) this.note.blur();
    event.stopPropagation();
  }
}
