// What SSE clients do with the program: the public graphql-sse client, and fetch with the hand.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from 'graphql-sse';
import { headers, note, take, url } from './program.mjs';

test('graphql-sse subscribes, and gets what is recorded', async () => {
  const client = createClient({ url, headers, retryAttempts: 0 });
  const events = client.iterate({ query: 'subscription { activityAdded { title } }' });
  const first = events.next();
  await note('ready?', first);
  const more = take(events, (e) => e.data.activityAdded.title === 'sse two');
  await note('sse one');
  await note('sse two');
  const titles = (await more).map((e) => e.data.activityAdded.title).filter((t) => t.startsWith('sse '));
  assert.deepEqual(titles, ['sse one', 'sse two']);
  await events.return();
  client.dispose();
});

test('graphql-sse runs a query to its end', async () => {
  const client = createClient({ url, headers, retryAttempts: 0 });
  const answers = [];
  for await (const answer of client.iterate({ query: '{ viewer { scopes } }' })) answers.push(answer);
  assert.equal(answers.length, 1);
  client.dispose();
});

// listen gives the events of a GET, as a browser's EventSource would read them.
async function* listen(lastEventId, signal) {
  const query = encodeURIComponent('subscription { activityAdded { title } }');
  const response = await fetch(`${url}?query=${query}`, {
    headers: { ...headers, Accept: 'text/event-stream', ...(lastEventId ? { 'Last-Event-ID': lastEventId } : {}) }, signal,
  });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  let text = '';
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      const field = (name) => lines.find((l) => l.startsWith(name + ': '))?.slice(name.length + 2);
      if (field('event') === 'next') yield { id: field('id'), ...JSON.parse(field('data')) };
    }
  }
}

test('fetch comes back with Last-Event-ID and misses nothing', async () => {
  const one = new AbortController();
  const events = listen(undefined, one.signal);
  const first = events.next();
  await note('ready?', first);
  const { id } = (await first).value;
  one.abort();
  for (const title of ['gone one', 'gone two']) await note(title);
  const two = new AbortController();
  const seen = await take(listen(id, two.signal), (e) => e.data.activityAdded.title === 'gone two');
  two.abort();
  assert.deepEqual(seen.map((e) => e.data.activityAdded.title).filter((t) => t.startsWith('gone ')), ['gone one', 'gone two']);
});
