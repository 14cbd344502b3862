// Which results the sheet shows, and which one comes next. No document, no server.

export const FILTERS = [
  { id: "all", words: "All", holds: () => true },
  { id: "unnamed", words: "Not named", holds: (entry) => entry.unnamed },
  { id: "close", words: "Another count possible", holds: (entry) => entry.close },
  { id: "flagged", words: "With notes", holds: (entry) => entry.flagged },
  { id: "failed", words: "No result", holds: (entry) => Boolean(entry.problem) },
];

/** Return the entries of a filter, in their order; `kept` is the identifier of one that stays in any case. */
export function chosen(entries, { filter = "all", openOnly = false, words = "", kept = "" } = {}) {
  const { holds } = FILTERS.find((each) => each.id === filter);
  const wanted = words.trim().toLowerCase();
  return entries.filter(
    (entry) =>
      entry.id === kept ||
      (holds(entry) && (!openOnly || isOpen(entry)) && `${entry.name} ${entry.scan}`.toLowerCase().includes(wanted)),
  );
}

/** Return whether a result waits for a verdict; one that cannot be read does not. */
export function isOpen(entry) {
  return entry.verdict === "open" && !entry.problem;
}

/** Return how many results each filter has, how many can be judged, and how many are. */
export function counts(entries) {
  const found = Object.fromEntries(FILTERS.map(({ id, holds }) => [id, entries.filter(holds).length]));
  const readable = entries.filter((entry) => !entry.problem);
  return { ...found, readable: readable.length, judged: readable.filter((entry) => !isOpen(entry)).length };
}

/** Return the identifier `step` places after `id`; the last one again at the end, the first one without `id`. */
export function neighbour(entries, id, step) {
  const place = entries.findIndex((entry) => entry.id === id);
  if (!entries.length) return "";
  return entries[Math.min(Math.max(place < 0 ? 0 : place + step, 0), entries.length - 1)].id;
}

/** Say how far the judging is. */
export function progressWords(judged, all) {
  const left = all - judged;
  return left ? `${judged} of ${all} judged, ${left} left` : `All ${all} judged`;
}
