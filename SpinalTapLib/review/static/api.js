// Ask the server. Every failure is an Error whose message is a sentence for the user.

const GONE = "The review is no longer running: start spinaltap review again. Nothing that was saved is lost.";

async function answerOf(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Error(GONE);
  }
  if (response.ok) return response;
  const text = await response.text();
  let words = text;
  try {
    words = JSON.parse(text).error;
  } catch {
    // The text is the sentence.
  }
  throw Object.assign(new Error(words), { conflict: response.status === 409 });
}

const json = async (request) => (await answerOf(request)).json();
const post = (address, body) =>
  json(fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }));
const of = (id) => `api/results/${id}`;

export const sheet = () => json(fetch("api/sheet"));
export const scan = (id, { open = false } = {}) => json(fetch(of(id) + (open ? "?open=1" : "")));
export const judge = (id, body) => post(`${of(id)}/judgement`, body);
export const correct = (id, body) => post(`${of(id)}/correction`, body);
export const saved = (id) => json(fetch(`${of(id)}/saved`));
export const bytes = async (id, name) => (await answerOf(fetch(address(id, name)))).arrayBuffer();
export const address = (id, name) => `${of(id)}/${name}`;
export const JUDGEMENTS = "api/judgements.csv";
