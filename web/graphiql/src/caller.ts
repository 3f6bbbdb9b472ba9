import { Refused, send } from './api';

export const demoIdentities = ['admin', 'operator', 'alice', 'bob'] as const;
export type DemoIdentity = (typeof demoIdentities)[number];

export interface Who {
  name: string;
  role: string;
}

interface Session {
  accessToken: string;
  refreshToken: string;
  expiresAt: string;
  account: Who;
}

/** What requests are sent with. Times are milliseconds since 1970, by this machine's clock. */
export type Credential =
  | { kind: 'demo'; identity: DemoIdentity; session: Session; renewAt: number }
  | { kind: 'token'; value: string; who: Who }
  | { kind: 'apiKey'; value: string; who: Who };

export interface CallerState {
  credential: Credential | null;
  /** Why the caller was signed out without asking for it. */
  notice: string | null;
  /** Changes when somebody else calls; not when a token is renewed. */
  generation: number;
}

const sessionFields = 'accessToken refreshToken expiresAt account { name role }';
const loginMutation = `mutation Login($code: String!) {
  login(input: { provider: DEMO, code: $code }) { ${sessionFields} }
}`;
const refreshMutation = `mutation Refresh($token: String!) {
  refreshSession(refreshToken: $token) { ${sessionFields} }
}`;
const viewerQuery = 'query Who { viewer { account { name role } apiKey { name } } }';

// One browser tab, one caller: sessionStorage lets a developer be admin in one
// tab and alice in the next, and forgets both when the tabs are closed.
const storageKey = 'sluice:caller';

/** Who is calling: signs in and out, keeps the token fresh, and tells its listeners. */
export class Caller {
  #state: CallerState = { credential: restore(), notice: null, generation: 0 };
  #listeners = new Set<() => void>();
  #renewal: Promise<void> | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#scheduleRenewal();
  }

  state = (): CallerState => this.#state;

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  async signIn(identity: DemoIdentity): Promise<void> {
    this.#become(await login(identity));
  }

  /** Takes over a pasted token or API key, once the server has accepted it. */
  async use(kind: 'token' | 'apiKey', pasted: string): Promise<void> {
    const value = pasted.trim().replace(/^Bearer\s+/i, '');
    const who = await askWho(headersFor(kind, value));
    this.#become({ kind, value, who });
  }

  async signOut(): Promise<void> {
    const { credential } = this.#state;
    this.#become(null);
    if (credential?.kind !== 'demo') return;
    // The tab has forgotten the tokens already; an answer would change nothing.
    await send('mutation Logout { logout }', {}, headersOf(credential)).catch(() => undefined);
  }

  get canRenew(): boolean {
    return this.#state.credential?.kind === 'demo';
  }

  /** The headers of the next request, with a token that has not run out. */
  async headers(): Promise<Record<string, string>> {
    const { credential } = this.#state;
    if (credential?.kind === 'demo' && Date.now() >= credential.renewAt) await this.renew();
    return headersOf(this.#state.credential);
  }

  /** Renews the token; calls that overlap share one renewal, as a refresh token works once. */
  renew(): Promise<void> {
    this.#renewal ??= this.#renew().finally(() => (this.#renewal = null));
    return this.#renewal;
  }

  async #renew(): Promise<void> {
    const before = this.#state.credential;
    if (before?.kind !== 'demo') return;
    try {
      const after = await refreshed(before);
      if (this.#state.credential === before) this.#set({ credential: after });
    } catch (error) {
      if (this.#state.credential === before) this.#renewalFailed(before, error);
    }
  }

  // A server that is away may come back, so the session is kept and tried again;
  // one that refuses the token has ended the session.
  #renewalFailed(before: Credential & { kind: 'demo' }, error: unknown): void {
    if (!(error instanceof Refused)) {
      this.#set({ credential: { ...before, renewAt: Date.now() + 10_000 } });
      return;
    }
    const notice = `The session of ${before.session.account.name} has ended: ${error.message}`;
    this.#become(null, notice);
  }

  #become(credential: Credential | null, notice: string | null = null): void {
    this.#set({ credential, notice, generation: this.#state.generation + 1 });
  }

  #set(change: Partial<CallerState>): void {
    this.#state = { ...this.#state, ...change };
    store(this.#state.credential);
    this.#scheduleRenewal();
    this.#listeners.forEach((listener) => listener());
  }

  #scheduleRenewal(): void {
    clearTimeout(this.#timer);
    const { credential } = this.#state;
    if (credential?.kind !== 'demo') return;
    this.#timer = setTimeout(() => void this.renew(), Math.max(0, credential.renewAt - Date.now()));
  }
}

async function login(identity: DemoIdentity): Promise<Credential> {
  const data = await send<{ login: Session }>(loginMutation, { code: identity }, {});
  return demoCredential(identity, data.login);
}

// A refresh token used twice ends its session, which happens when a tab is
// duplicated. A demo identity can simply sign in anew.
async function refreshed(old: Credential & { kind: 'demo' }): Promise<Credential> {
  try {
    const variables = { token: old.session.refreshToken };
    const data = await send<{ refreshSession: Session }>(refreshMutation, variables, {});
    return demoCredential(old.identity, data.refreshSession);
  } catch (error) {
    if (error instanceof Refused) return login(old.identity);
    throw error;
  }
}

// At four fifths of its life a token is renewed, but never sooner than in five
// seconds nor later than in a day, whatever this machine's clock says.
function demoCredential(identity: DemoIdentity, session: Session): Credential {
  const life = Date.parse(session.expiresAt) - Date.now() || 0;
  const wait = Math.min(Math.max(5_000, life * 0.8), 86_400_000);
  return { kind: 'demo', identity, session, renewAt: Date.now() + wait };
}

async function askWho(headers: Record<string, string>): Promise<Who> {
  interface Viewer {
    viewer: { account: Who | null; apiKey: { name: string } | null };
  }
  const { viewer } = await send<Viewer>(viewerQuery, {}, headers);
  if (viewer.account) return viewer.account;
  return { name: viewer.apiKey?.name ?? 'API key', role: 'API key' };
}

function headersOf(credential: Credential | null): Record<string, string> {
  if (!credential) return {};
  if (credential.kind === 'demo') return headersFor('token', credential.session.accessToken);
  return headersFor(credential.kind, credential.value);
}

function headersFor(kind: 'token' | 'apiKey', value: string): Record<string, string> {
  return kind === 'apiKey' ? { 'X-API-Key': value } : { Authorization: `Bearer ${value}` };
}

function restore(): Credential | null {
  try {
    return JSON.parse(sessionStorage.getItem(storageKey) ?? 'null') as Credential | null;
  } catch {
    return null;
  }
}

function store(credential: Credential | null): void {
  try {
    if (credential) sessionStorage.setItem(storageKey, JSON.stringify(credential));
    else sessionStorage.removeItem(storageKey);
  } catch {
    // Storage may be switched off: then a reload forgets who called.
  }
}
