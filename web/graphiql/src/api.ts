// The endpoint beside this page: /graphiql/ talks to /graphql, and
// /somewhere/graphiql/ to /somewhere/graphql.
export const endpoint = new URL('../graphql', document.baseURI);

/** The same endpoint for subscriptions: ws for http, wss for https. */
export const socketEndpoint = new URL(endpoint);
socketEndpoint.protocol = endpoint.protocol.replace('http', 'ws');

/** What the server says that this page may offer. */
export interface Settings {
  demo: boolean;
}

/** Without an answer the page offers less, not more. */
export async function settings(): Promise<Settings> {
  try {
    return (await (await fetch(new URL('settings.json', document.baseURI))).json()) as Settings;
  } catch {
    return { demo: false };
  }
}

/** The server answered, and said no. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly code: string | undefined,
  ) {
    super(message);
  }
}

export interface GraphQLError {
  message: string;
  extensions?: { code?: string };
}

interface Answer<Data> {
  data?: Data | null;
  errors?: GraphQLError[];
}

/**
 * Sends one operation and returns its data.
 * Throws Refused when the answer carries an error, and a plain Error when there
 * was no GraphQL answer at all.
 */
export async function send<Data>(
  query: string,
  variables: Record<string, unknown>,
  headers: Record<string, string>,
): Promise<Data> {
  const answer = await post<Data>(JSON.stringify({ query, variables }), headers);
  const error = answer.errors?.[0];
  if (error) throw new Refused(error.message, error.extensions?.code);
  if (!answer.data) throw new Error('The server sent an answer without data.');
  return answer.data;
}

async function post<Data>(body: string, headers: Record<string, string>): Promise<Answer<Data>> {
  const response = await fetch(endpoint, {
    method: 'POST',
    body,
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/graphql-response+json, application/json;q=0.9',
      ...headers,
    },
  }).catch(() => {
    throw new Error('The server did not answer. Is it running?');
  });
  try {
    return (await response.json()) as Answer<Data>;
  } catch {
    throw new Error(`The server sent no GraphQL answer (HTTP ${response.status}).`);
  }
}
