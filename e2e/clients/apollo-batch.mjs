// Apollo Client's BatchHttpLink, against a program that takes batches.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApolloClient, gql, InMemoryCache } from '@apollo/client';
import { BatchHttpLink } from '@apollo/client/link/batch-http';
import { headers, url } from './program.mjs';

const sent = [];
const client = new ApolloClient({
  cache: new InMemoryCache(),
  link: new BatchHttpLink({
    uri: url,
    headers,
    batchInterval: 50,
    fetch: (uri, options) => {
      sent.push(JSON.parse(options.body));
      return fetch(uri, options);
    },
  }),
});

test('operations of one moment are one request, each with its own answer', async () => {
  const ask = (query, variables) => client.query({ query, variables, errorPolicy: 'all', fetchPolicy: 'no-cache' });
  const [me, trips, missing] = await Promise.all([
    ask(gql`query Me { viewer { account { name } } }`),
    ask(gql`query Trips($n: Int) { trips(first: $n) { nodes { id } } }`, { n: 2 }),
    ask(gql`query Missing($id: ID!) { trip(id: $id) { id } }`, { id: 'trip_01jd2k0f3qe8x9w5t7v6m4n2p0' }),
  ]);
  assert.equal(sent.length, 1);
  assert.equal(sent[0].length, 3);
  assert.equal(me.data.viewer.account.name, 'Operator');
  assert.equal(trips.data.trips.nodes.length, 2);
  assert.equal(missing.error.errors[0].extensions.code, 'NOT_FOUND');
});
