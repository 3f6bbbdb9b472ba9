// Finds the packages that ended up in a bundle and gathers their licences.
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

const licenceFile = /^(licen[cs]e|copying|notice|third[-_ ]?party[-_ ]?notices)/i;

/**
 * The npm packages whose code or style is in the outputs of the given esbuild
 * metafiles, sorted by name: { name, version, licence, texts }.
 * A package without any licence text is an error, not an omission.
 */
export async function bundledPackages(metafiles) {
  const inputs = metafiles.flatMap(({ outputs }) => Object.values(outputs)).flatMap(inputsOf);
  const folders = [...new Set(inputs.map(packageFolder).filter(Boolean))];
  const packages = await Promise.all(folders.map(readPackage));
  return packages.sort((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
}

const idOf = ({ name, version }) => `${name}@${version}`;

function inputsOf({ inputs }) {
  return Object.entries(inputs)
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([file]) => file);
}

// The innermost node_modules/<name> or node_modules/@scope/<name> of a file.
function packageFolder(file) {
  return /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1];
}

// Packages published without their licence file, and the package whose file is
// theirs too: of the same repository, or of the same author and licence.
const licencedLike = {
  '@graphiql/plugin-doc-explorer': '@graphiql/react',
  '@graphiql/plugin-history': '@graphiql/react',
  'react-compiler-runtime': 'react',
  'react-remove-scroll-bar': 'react-remove-scroll',
};

async function readTexts(folder) {
  const files = (await readdir(folder)).filter((file) => licenceFile.test(file)).sort();
  return Promise.all(files.map((file) => readFile(path.join(folder, file), 'utf8')));
}

async function readPackage(folder) {
  const { name, version, license } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
  let texts = await readTexts(folder);
  if (texts.length === 0 && licencedLike[name]) texts = await readTexts(`node_modules/${licencedLike[name]}`);
  if (texts.length === 0) throw new Error(`${name}@${version} (${license}) carries no licence text`);
  return { name, version, licence: license, texts };
}

const rule = '-'.repeat(80);

export function licenceText(packages) {
  const head =
    'GraphiQL, as served by Sluice, is built from the npm packages below.\n' +
    'Each stands under its own licence, given here in full.\n';
  const entries = packages.map(({ name, version, licence, texts }) =>
    [rule, `${name}@${version}`, `Licence: ${licence}`, rule, '', ...texts.map(plain)].join('\n'),
  );
  return [head, ...entries].join('\n');
}

const plain = (text) => `${text.replace(/\r\n?/g, '\n').trim()}\n`;
