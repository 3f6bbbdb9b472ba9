// The program that is tested, and how to make something happen in it.
export const url = process.env.SLUICE_URL;
export const headers = { Authorization: `Bearer ${process.env.SLUICE_TOKEN}` };
export const connection = headers;

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// note records a note; with until, again and again until that has come to pass, as a client does not
// tell when its subscription holds.
export async function note(title, until) {
  let done = until === undefined;
  until?.then(() => { done = true; }, () => { done = true; });
  do {
    const response = await fetch(url, {
      method: 'POST',
      headers: { ...headers, 'Content-Type': 'application/json' },
      body: JSON.stringify({ query: 'mutation ($t: String!) { recordActivity(input: {kind: NOTE, title: $t}) { id } }', variables: { t: title } }),
    });
    const answer = await response.json();
    if (answer.errors) throw new Error(JSON.stringify(answer.errors));
    if (until) await Promise.race([until, pause(100)]);
  } while (!done);
}

// take gives the events up to the one that last names.
export async function take(events, last) {
  const seen = [];
  for (;;) {
    const { value, done } = await events.next();
    if (done) throw new Error('the events have ended');
    seen.push(value);
    if (last(value)) return seen;
  }
}

export const once = (client, name) => new Promise((resolve) => { client.on(name, resolve); });
