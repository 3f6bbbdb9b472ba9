import './workers';
// First the editor's style, which the sheets below override.
import './editor';
// The packages' own sheets one by one: graphiql/style.css adds 400 KB of fonts.
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import '../node_modules/graphiql/dist/graphiql.css';
import './page.css';
import { GraphiQL } from 'graphiql';
import { useMemo, useSyncExternalStore } from 'react';
import { createRoot } from 'react-dom/client';
import { settings } from './api';
import { Caller } from './caller';
import dashboard from './dashboard.graphql';
import { fetcherFor } from './fetcher';
import gate from './gate.svg';
import { SignIn } from './SignIn';

const caller = new Caller();

function Page({ demo }: { demo: boolean }) {
  const { generation } = useSyncExternalStore(caller.subscribe, caller.state);
  // A new fetcher makes GraphiQL read the schema anew: another caller may see another one.
  const fetcher = useMemo(() => fetcherFor(caller), [generation]);

  return (
    <GraphiQL fetcher={fetcher} defaultTabs={[{ query: dashboard }]} defaultQuery="">
      <GraphiQL.Logo>
        <div className="sluice-header">
          <SignIn caller={caller} demo={demo} />
          <span className="sluice-logo">
            <span className="sluice-gate" aria-hidden="true" dangerouslySetInnerHTML={{ __html: gate }} />
            Sluice
          </span>
        </div>
      </GraphiQL.Logo>
    </GraphiQL>
  );
}

const root = createRoot(document.getElementById('graphiql')!);
void settings().then(({ demo }) => root.render(<Page demo={demo} />));
