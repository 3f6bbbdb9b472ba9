import { Button, Dialog } from '@graphiql/react';
import { type FormEvent, useState, useSyncExternalStore } from 'react';
import { Refused } from './api';
import { type Caller, type Credential, type DemoIdentity, demoIdentities } from './caller';

const rights: Record<DemoIdentity, string> = {
  admin: 'Role ADMIN',
  operator: 'Role OPERATOR',
  alice: 'Role MEMBER',
  bob: 'Role MEMBER',
};

/** The control in the page's header: who is calling, and the dialog to change that. */
export function SignIn({ caller, demo }: { caller: Caller; demo: boolean }) {
  const { credential, notice } = useSyncExternalStore(caller.subscribe, caller.state);
  const [open, setOpen] = useState(false);
  const who = credential && whoOf(credential);

  return (
    <>
      <button
        type="button"
        className={who ? 'sluice-caller sluice-caller-known' : 'sluice-caller'}
        title={who ? `Signed in as ${who.name}` : (notice ?? 'Not signed in')}
        onClick={() => setOpen(true)}
      >
        {who ? (
          <>
            {who.name} <small>{who.role}</small>
          </>
        ) : (
          'Sign in'
        )}
      </button>
      <Dialog open={open} onOpenChange={setOpen}>
        <SignInDialog caller={caller} demo={demo} credential={credential} notice={notice} close={() => setOpen(false)} />
      </Dialog>
    </>
  );
}

interface DialogProps {
  caller: Caller;
  demo: boolean;
  credential: Credential | null;
  notice: string | null;
  close: () => void;
}

function SignInDialog({ caller, demo, credential, notice, close }: DialogProps) {
  const [problem, setProblem] = useState<string | null>(notice);
  const [busy, setBusy] = useState(false);

  async function attempt(action: () => Promise<void>, explain: (error: unknown) => string) {
    setBusy(true);
    setProblem(null);
    try {
      await action();
      close();
    } catch (error) {
      setProblem(explain(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <div className="graphiql-dialog-header">
        <Dialog.Title className="graphiql-dialog-title">Sign in</Dialog.Title>
        <Dialog.Close />
      </div>
      <div className="sluice-sign-in">
        <Dialog.Description>
          Every request of this tab is sent in the name you choose here.
        </Dialog.Description>
        {credential && (
          <Current credential={credential} signOut={() => attempt(() => caller.signOut(), messageOf)} />
        )}
        {problem && <p role="alert">{problem}</p>}
        {demo && <DemoChoice busy={busy} choose={(code) => attempt(() => caller.signIn(code), explainLogin)} />}
        <Paste busy={busy} demo={demo} use={(kind, value) => attempt(() => caller.use(kind, value), explainPaste)} />
      </div>
    </>
  );
}

function Current({ credential, signOut }: { credential: Credential; signOut: () => void }) {
  const who = whoOf(credential);
  return (
    <div className="sluice-current">
      <span>
        Signed in as <strong>{who.name}</strong> ({who.role}).{' '}
        {credential.kind === 'demo' && 'The token is renewed before it runs out.'}
      </span>
      <Button type="button" onClick={signOut}>
        Sign out
      </Button>
    </div>
  );
}

function DemoChoice({ busy, choose }: { busy: boolean; choose: (code: DemoIdentity) => void }) {
  return (
    <fieldset disabled={busy}>
      <legend>A demo identity</legend>
      <div className="sluice-identities">
        {demoIdentities.map((code) => (
          <button type="button" key={code} onClick={() => choose(code)}>
            <strong>{code}</strong>
            <small>{rights[code]}</small>
          </button>
        ))}
      </div>
    </fieldset>
  );
}

function Paste({ busy, demo, use }: { busy: boolean; demo: boolean; use: (kind: 'token' | 'apiKey', value: string) => void }) {
  const [kind, setKind] = useState<'token' | 'apiKey'>('token');
  const [value, setValue] = useState('');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    use(kind, value);
  };

  return (
    <form onSubmit={submit}>
      <fieldset disabled={busy}>
        <legend>{demo ? 'Or something you have' : 'An access token or an API key'}</legend>
        <div className="sluice-paste">
          <select
            aria-label="Kind"
            value={kind}
            onChange={(event) => setKind(event.target.value as 'token' | 'apiKey')}
          >
            <option value="token">Access token</option>
            <option value="apiKey">API key</option>
          </select>
          <input
            type="password"
            autoComplete="off"
            aria-label={kind === 'token' ? 'Access token' : 'API key'}
            placeholder={kind === 'token' ? 'Sent as Authorization: Bearer …' : 'Sent as X-API-Key: …'}
            value={value}
            onChange={(event) => setValue(event.target.value)}
          />
          <Button type="submit" disabled={busy || value.trim() === ''}>
            Use it
          </Button>
        </div>
      </fieldset>
    </form>
  );
}

function whoOf(credential: Credential) {
  return credential.kind === 'demo' ? credential.session.account : credential.who;
}

function explainLogin(error: unknown): string {
  if (!(error instanceof Refused)) return messageOf(error);
  return (
    `The server refused the demo sign-in: “${error.message}” Paste an access token or an API key below.`
  );
}

function explainPaste(error: unknown): string {
  if (!(error instanceof Refused)) return messageOf(error);
  return `The server did not accept it: “${error.message}”`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
