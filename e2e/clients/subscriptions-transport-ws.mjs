// What the older public client, subscriptions-transport-ws, does with the program.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import transport from 'subscriptions-transport-ws';
import WebSocket from 'ws';
import { connection, note, url } from './program.mjs';

const connect = (options = {}) =>
  new transport.SubscriptionClient(url.replace(/^http/, 'ws'), { connectionParams: connection, reconnect: false, ...options }, WebSocket);

// subscribe collects answers until done says so.
function subscribe(client, query, done) {
  const answers = [];
  let hold;
  const all = new Promise((resolve, reject) => {
    hold = client.request({ query }).subscribe({
      next: (answer) => { answers.push(answer); if (done(answer)) resolve(answers); },
      error: reject,
      complete: () => resolve(answers),
    });
  });
  return { all, stop: () => hold.unsubscribe() };
}

test('a subscription gets what is recorded, until it is stopped', async () => {
  const client = connect();
  let begun;
  const ready = new Promise((resolve) => { begun = resolve; });
  const s = subscribe(client, 'subscription { activityAdded { title } }', (a) => {
    begun(a);
    return a.data.activityAdded.title === 'old two';
  });
  await note('ready?', ready);
  await note('old one');
  await note('old two');
  const titles = (await s.all).map((a) => a.data.activityAdded.title).filter((t) => t.startsWith('old '));
  assert.deepEqual(titles, ['old one', 'old two']);
  s.stop();
  client.close();
});

test('a query completes', async () => {
  const client = connect();
  const answers = await subscribe(client, '{ viewer { scopes } }', () => false).all;
  assert.equal(answers.length, 1);
  client.close();
});

test('errors arrive', async () => {
  const client = connect();
  await assert.rejects(subscribe(client, 'subscription { nothing }', () => false).all);
  client.close();
});

test('it comes back by itself', async () => {
  const client = connect({ reconnect: true });
  let begun;
  const ready = new Promise((resolve) => { begun = resolve; });
  let again;
  const reconnected = new Promise((resolve) => { again = resolve; });
  client.onReconnected(() => again());
  const s = subscribe(client, 'subscription { activityAdded { title } }', (a) => {
    begun(a);
    return a.data.activityAdded.title === 'back';
  });
  await note('ready?', ready);
  client.client.terminate();
  await reconnected;
  await note('back', s.all);
  await s.all;
  client.close();
});
