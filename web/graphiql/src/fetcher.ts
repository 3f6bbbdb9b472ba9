import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit';
import { createClient } from 'graphql-ws';
import { endpoint, socketEndpoint, type GraphQLError } from './api';
import type { Caller } from './caller';

/**
 * GraphiQL's way to the server: queries and mutations over HTTP, subscriptions
 * over WebSocket (graphql-transport-ws), both in the caller's name. What the
 * developer wrote into the Headers editor wins.
 */
export function fetcherFor(caller: Caller): Fetcher {
  return (operation, options) => {
    const written = options?.headers ?? {};
    const socket = createClient({
      url: socketEndpoint.href,
      lazy: true, // opens for a subscription only
      connectionParams: async () => signed(written, await caller.headers()),
    });
    const fetcher = createGraphiQLFetcher({
      url: endpoint.href,
      fetch: (url, init) => fetchAs(caller, url, init),
      wsClient: socket,
    });
    return fetcher(operation, options);
  };
}

async function fetchAs(caller: Caller, url: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const written = Object.fromEntries(new Headers(init?.headers));
  const attempt = async () =>
    fetch(url, { ...init, headers: signed(written, await caller.headers()) });

  const response = await attempt();
  if (!caller.canRenew || hasCredential(written) || !(await tokenRefused(response))) return response;
  await caller.renew();
  return attempt();
}

function signed(written: Record<string, unknown>, credential: Record<string, string>) {
  return (hasCredential(written) ? written : { ...written, ...credential }) as Record<string, string>;
}

function hasCredential(headers: Record<string, unknown>): boolean {
  return Object.keys(headers).some((name) => /^(authorization|x-api-key)$/i.test(name));
}

// A token is refused before anything is executed, so only an answer without data
// may be asked for again.
async function tokenRefused(response: Response): Promise<boolean> {
  if (response.status === 401) return true;
  if (!response.headers.get('Content-Type')?.includes('json')) return false;
  const answer = (await response.clone().json()) as { data?: unknown; errors?: GraphQLError[] };
  const refused = answer.errors?.some((error) => error.extensions?.code === 'UNAUTHENTICATED');
  return answer.data == null && refused === true;
}
