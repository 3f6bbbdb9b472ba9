// What the public graphql-ws client does with the program: SLUICE_URL (http://…/graphql), SLUICE_TOKEN.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { connection, note, once, take, url } from './program.mjs';

const connect = (options = {}) =>
  createClient({ url: url.replace(/^http/, 'ws'), webSocketImpl: WebSocket, connectionParams: connection, lazy: true, ...options });

test('a subscription gets what is recorded', async () => {
  const client = connect();
  const events = client.iterate({ query: 'subscription { activityAdded { id title } }' });
  const first = events.next();
  await once(client, 'connected');
  await note('ready?', first);
  assert.ok((await first).value.data.activityAdded.id);
  const more = take(events, (e) => e.data.activityAdded.title === 'ws two');
  await note('ws one');
  await note('ws two');
  const titles = (await more).map((e) => e.data.activityAdded.title).filter((t) => t.startsWith('ws '));
  assert.deepEqual(titles, ['ws one', 'ws two']);
  await events.return();
  await client.dispose();
});

test('queries and mutations run over the socket, and complete', async () => {
  const client = connect();
  const answers = [];
  for await (const answer of client.iterate({ query: '{ viewer { scopes } }' })) answers.push(answer);
  assert.equal(answers.length, 1);
  assert.ok(answers[0].data.viewer.scopes.includes('activity:read'));
  await client.dispose();
});

test('a document that does not hold is an error of its operation', async () => {
  const client = connect();
  await assert.rejects(async () => { for await (const _ of client.iterate({ query: 'subscription { nothing }' })); }, (errors) => {
    assert.equal(errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED');
    return true;
  });
  await client.dispose();
});

test('bad credentials are 4403', async () => {
  const client = connect({ connectionParams: { Authorization: 'Bearer nonsense' }, retryAttempts: 0 });
  await assert.rejects(async () => { for await (const _ of client.iterate({ query: '{ viewer { scopes } }' })); }, (event) => {
    assert.equal(event.code, 4403);
    return true;
  });
});

test('after a cut the client comes back with its cursor and misses nothing', async () => {
  let socket;
  let after;
  const client = connect({ on: { connected: (s) => { socket = s; } }, retryWait: async () => {}, retryAttempts: 5, shouldRetry: () => true });
  const payload = { query: 'subscription { activityAdded { title } }' };
  // The client subscribes again with this object, so that it can be told the cursor.
  Object.defineProperty(payload, 'extensions', { enumerable: true, get: () => (after ? { after } : undefined) });
  const events = client.iterate(payload);
  const first = events.next();
  await once(client, 'connected');
  await note('ready?', first);
  after = (await first).value.extensions.cursor;
  socket.terminate();
  for (const title of ['cut one', 'cut two', 'cut three']) await note(title);
  const seen = await take(events, (e) => e.data.activityAdded.title === 'cut three');
  const titles = seen.map((e) => e.data.activityAdded.title).filter((t) => t.startsWith('cut '));
  assert.deepEqual(titles, ['cut one', 'cut two', 'cut three']);
  await events.return();
  await client.dispose();
});
