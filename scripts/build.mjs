// Bundles src/cli.ts to the one file dist/cli.js that is installed as `runspec`.
// Lazy imports stay lazy: esbuild turns each into a function that runs its module on first use.
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/** `node scripts/build.mjs [ENTRY [OUTPUT]]`; without arguments it makes the product. */
const [entry = 'src/cli.ts', output = 'dist/cli.js'] = process.argv.slice(2);

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(resolve(root, 'package.json'), 'utf8'));

/**
 * Parts of Node that are not loaded when it starts and take 1 to 7 ms each. A static import of one,
 * even in a module that is itself imported lazily, would be hoisted to the top of the bundle.
 */
const SLOW_BUILTINS = /^node:(child_process|net|tls|http|https|zlib|stream|stream\/promises|readline|tty)$/;

const lazyBuiltins = {
  name: 'lazy-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: SLOW_BUILTINS }, ({ path }) => ({ path, namespace: 'builtin' }));
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }));
  },
};

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: [entry],
  bundle: true,
  write: false,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  // The same code without the CommonJS wrapper: smaller, and quicker to load.
  alias: { yaml: resolve(root, 'node_modules/yaml/browser/index.js') },
  define: { RUNSPEC_VERSION: JSON.stringify(version) },
  plugins: [lazyBuiltins],
  logLevel: 'warning',
});

const text = outputFiles[0].text.replace(/^#!.*\n/, '');
// CommonJS dependencies (commander, tar) require Node's own modules, which an ES module has to be given.
const header = text.includes('Dynamic require of')
  ? `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);\n`
  : '';

const file = resolve(root, output);
mkdirSync(dirname(file), { recursive: true });
// Renamed into place, so that a runspec started meanwhile reads one whole bundle.
writeFileSync(`${file}.new`, `#!/usr/bin/env node\n${header}${text}`);
chmodSync(`${file}.new`, 0o755);
renameSync(`${file}.new`, file);
