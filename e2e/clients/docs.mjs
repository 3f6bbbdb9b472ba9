// The programs of docs/subscriptions.md (SLUICE_DOC), as they stand there: each runs in a worker of its
// own. All are cut off twice, and have to show every event once.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync, unlinkSync } from 'node:fs';
import net from 'node:net';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { note, url } from './program.mjs';

const doc = readFileSync(process.env.SLUICE_DOC, 'utf8');
const { hostname, port, origin } = new URL(url);

// programs are the blocks of JavaScript under a heading.
function programs(heading) {
  const section = doc.split(/^## /m).find((s) => s.startsWith(heading + '\n'));
  assert.ok(section, `there is no section ${heading}`);
  return [...section.matchAll(/^```js\n(.*?)^```$/gms)].map((m) => m[1]);
}

// way is a way to the program that can be cut.
async function way() {
  const open = new Set();
  let down = false;
  const server = net.createServer((from) => {
    if (down) { from.destroy(); return; }
    const to = net.connect(Number(port), hostname);
    for (const [a, b] of [[from, to], [to, from]]) {
      open.add(a);
      a.on('error', () => {});
      a.on('close', () => { open.delete(a); b.destroy(); });
      a.pipe(b);
    }
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    host: `127.0.0.1:${server.address().port}`,
    cut() { down = true; for (const socket of open) socket.destroy(); },
    mend() { down = false; },
    close() { this.cut(); server.close(); },
  };
}

// subscriptions waits until the program has so many.
async function subscriptions(want) {
  for (;;) {
    const metrics = await (await fetch(`${origin}/metrics`)).text();
    if (metrics.includes(`\nsluice_live_subscriptions ${want}\n`)) return;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

// run has a worker run the program, and collects what it shows.
function run(text, host) {
  const file = new URL(`snippet-${process.pid}-${Math.random()}.mjs`, import.meta.url);
  writeFileSync(file, text.replaceAll('://sluice.example', `://${host}`).replaceAll('wss:', 'ws:').replaceAll('https:', 'http:'));
  const worker = new Worker(new URL('host.mjs', import.meta.url), { workerData: { file: file.href, token: process.env.SLUICE_TOKEN } });
  const shown = [];
  let look = () => {};
  const failed = new Promise((_, reject) => { worker.on('error', reject); });
  failed.catch(() => {}); // until somebody waits
  worker.on('message', (title) => { shown.push(title); look(); });
  return {
    shown,
    failed,
    until: (n) => Promise.race([failed, new Promise((resolve) => {
      look = () => { if (shown.length >= n) resolve(); };
      look();
    })]),
    async end() { await worker.terminate(); unlinkSync(file); },
  };
}

const client = programs('With graphql-ws')[0];
const sections = {
  'With graphql-ws': programs('With graphql-ws').join(''),
  'With Apollo Client': client + programs('With Apollo Client').join(''),
  'With urql': client + programs('With urql').join(''),
  'With EventSource': programs('With EventSource').join(''),
  'In WeChat mini-programs': programs('In WeChat mini-programs').join(''),
};

test('the programs of the documentation miss nothing', async () => {
  const through = await way();
  const pages = Object.entries(sections).map(([heading, text]) => ({ heading, ...run(text, through.host) }));
  const all = (wait) => Promise.race([wait, ...pages.map((p) => p.failed)]);
  const want = [];
  const happens = async (name) => { want.push(`doc ${name}`); await note(want.at(-1)); };
  const shown = () => all(Promise.all(pages.map((p) => p.until(want.length))));
  try {
    await all(subscriptions(pages.length));
    await happens('one');
    await shown();
    through.cut();
    await subscriptions(0);
    await happens('two');
    await happens('three');
    through.mend();
    await shown();
    through.cut();
    await subscriptions(0);
    await happens('four');
    through.mend();
    await all(subscriptions(pages.length));
    await happens('five');
    await shown();
    for (const page of pages) assert.deepEqual(page.shown, want, page.heading);
  } finally {
    through.close();
    for (const page of pages) await page.end();
  }
});

test('a client that was cut off before there was an event misses none', async () => {
  const through = await way();
  const page = run(sections['With graphql-ws'], through.host);
  try {
    await subscriptions(1);
    through.cut();
    await subscriptions(0);
    await note('the first');
    through.mend();
    await page.until(1);
    assert.deepEqual(page.shown, ['the first']);
  } finally {
    through.close();
    await page.end();
  }
});
