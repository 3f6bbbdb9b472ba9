// The audits of GraphQL over HTTP by the public graphql-http package: all must pass, those that only
// recommend something too.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serverAudits } from 'graphql-http';
import { url } from './program.mjs';

const audits = serverAudits({ url });

test('there are audits', () => assert.ok(audits.length >= 61, `${audits.length}`));

for (const audit of audits) {
  test(`${audit.id} ${audit.name}`, async () => {
    const result = await audit.fn();
    assert.equal(result.status, 'ok', result.reason);
  });
}
