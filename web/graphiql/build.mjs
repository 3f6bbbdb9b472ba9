// Builds dist/: the page, its script and style, and Monaco's workers, with
// file names that carry a hash of the content, plus the licences of all of it.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bundledPackages, licenceText } from './licences.mjs';

const assets = 'dist/assets';

const common = {
  bundle: true,
  minify: true,
  legalComments: 'none', // LICENSES.txt has them whole
  metafile: true,
  outdir: assets,
  entryNames: '[name]-[hash]',
  chunkNames: 'chunk-[hash]',
  assetNames: '[name]-[hash]',
  target: ['es2022'],
  define: { 'process.env.NODE_ENV': '"production"' },
  logLevel: 'warning',
};

const workerEntries = {
  editor: 'monaco-editor/esm/vs/editor/editor.worker.js',
  json: 'monaco-editor/esm/vs/language/json/json.worker.js',
  graphql: 'monaco-graphql/esm/graphql.worker.js',
};

function buildWorkers() {
  const entryPoints = Object.entries(workerEntries).map(([out, module]) => ({
    in: `node_modules/${module}`,
    out: `${out}.worker`,
  }));
  return build({ ...common, entryPoints, format: 'iife' });
}

/** Modules that others replace; each row says why. */
const replacements = [
  // monaco-graphql imports its editor by its own name and by a relative one.
  [/^(monaco-graphql\/esm|\.)\/monaco-editor(\.js)?$/, 'src/editor.ts'],
  [/^prettier\/(parser-babel|plugins\/estree)$/, 'src/jsonc.ts'],
  // Monaco carries an old copy of DOMPurify. The npm package is current and has its licence.
  [/\/dompurify\/dompurify\.js$/, 'src/dompurify.ts'],
];

const replaceModules = {
  name: 'replace-modules',
  setup({ onResolve }) {
    for (const [filter, file] of replacements) onResolve({ filter }, () => ({ path: path.resolve(file) }));
  },
};

function buildPage(workerFiles) {
  return build({
    ...common,
    entryPoints: ['src/main.tsx'],
    format: 'esm',
    splitting: true,
    jsx: 'automatic',
    plugins: [replaceModules],
    alias: { 'prettier/parser-graphql': 'prettier/plugins/graphql' }, // the same module, as ESM
    loader: { '.graphql': 'text', '.svg': 'text', '.ttf': 'file' },
    define: { ...common.define, WORKER_FILES: JSON.stringify(workerFiles) },
  });
}

/** The outputs that were built from an entry point, by entry point. */
function entryOutputs(metafile) {
  const outputs = Object.entries(metafile.outputs).filter(([, output]) => output.entryPoint);
  return new Map(outputs.map(([file, output]) => [output.entryPoint, { file, ...output }]));
}

function workerNames(metafile) {
  const outputs = entryOutputs(metafile);
  const names = Object.entries(workerEntries).map(([label, module]) => [
    label,
    `./${path.basename(outputs.get(`node_modules/${module}`).file)}`,
  ]);
  return Object.fromEntries(names);
}

const sha256 = (content) => createHash('sha256').update(content).digest('hex');

/**
 * Removes the style that esbuild makes for chunks: nothing loads it, as the
 * entry's own sheet has all of it.
 */
async function dropChunkStyles({ outputs }) {
  const chunks = Object.keys(outputs).filter((file) => /\/chunk-[^/]+\.css$/.test(file));
  for (const file of chunks) {
    await rm(file);
    delete outputs[file];
  }
}

async function copyHashed(source) {
  const content = await readFile(source);
  const { name, ext } = path.parse(source);
  const file = `${assets}/${name}-${sha256(content).slice(0, 8).toUpperCase()}${ext}`;
  await writeFile(file, content);
  return file;
}

async function writeIndex(entry) {
  const files = { script: entry.file, style: entry.cssBundle, icon: await copyHashed('src/gate.svg') };
  const template = await readFile('src/index.html', 'utf8');
  const html = template.replace(/{{(\w+)}}/g, (_, name) => path.posix.relative('dist', files[name]));
  await writeFile('dist/index.html', html);
}

/** What dist/ was made from: a test compares it with the tree, to tell a dist/ that is out of date. */
async function writeManifest(packages) {
  const sources = ['package.json', 'package-lock.json', 'build.mjs', 'licences.mjs', 'tsconfig.json'];
  for (const name of (await readdir('src')).sort()) sources.push(`src/${name}`);
  const hashes = {};
  for (const file of sources) hashes[file] = sha256(await readFile(file));
  const names = packages.map(({ name, version }) => `${name}@${version}`);
  await writeFile('dist/manifest.json', `${JSON.stringify({ packages: names, sources: hashes }, null, 2)}\n`);
}

await rm('dist', { recursive: true, force: true });
await mkdir(assets, { recursive: true });
const workers = await buildWorkers();
const page = await buildPage(workerNames(workers.metafile));
await dropChunkStyles(page.metafile);
await writeIndex(entryOutputs(page.metafile).get('src/main.tsx'));
const packages = await bundledPackages([workers.metafile, page.metafile]);
await writeFile('dist/LICENSES.txt', licenceText(packages));
await writeManifest(packages);
