// GraphiQL formats the variables and the headers through Prettier's JavaScript
// parser and printer: half a megabyte. The build puts this Prettier plugin in
// their place, which leaves the work to the JSON formatter that Monaco's
// language service uses, already in the page.
import { applyEdits, format } from 'jsonc-parser';

interface Text {
  content: string;
}

function formatted({ content }: Text): string {
  const edits = format(content, undefined, { tabSize: 2, insertSpaces: true });
  return applyEdits(content, edits).trimEnd();
}

export const parsers = {
  jsonc: {
    astFormat: 'jsonc-text',
    parse: (content: string): Text => ({ content }),
    locStart: () => 0,
    locEnd: ({ content }: Text) => content.length,
  },
};

export const printers = {
  'jsonc-text': {
    print: (path: { node: Text }) => formatted(path.node).split('\n').flatMap(lineOf),
  },
};

// A literal line of a Prettier document breaks without indenting further.
const literalLine = [{ type: 'line', hard: true, literal: true }, { type: 'break-parent' }];
const lineOf = (line: string, index: number) => (index === 0 ? [line] : [...literalLine, line]);
