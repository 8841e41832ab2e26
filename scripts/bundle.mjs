// Bundles the programs into a folder, the schema's SQL inside, and the hook's program beside them. The console is one file
// of CommonJS: Node loads it three times as fast as the same in ES modules, and what is compiled of it can be kept. Used by the build, and by the tests, which run what users run.
import crypto, { createHash } from 'node:crypto';
import dns from 'node:dns';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';
import ts from 'typescript';
import './embed-sql.mjs';
import { writeBillOfMaterials } from './bill-of-materials.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Files that stand in for packages in a bundle. */
export const moduleAliases = {
  'react-devtools-core': path.join(root, 'scripts/empty-module.mjs'),
  // What it gives to require() cannot be bundled (UMD).
  'jsonc-parser': path.join(root, 'node_modules/jsonc-parser/lib/esm/main.js'),
  // It waits for its WASM while it is loaded, which CommonJS cannot.
  'yoga-layout': path.join(root, 'scripts/yoga-layout.mjs'),
  'yoga-layout/load': path.join(root, 'scripts/yoga-layout.mjs'),
};

/** Gives Ink our own string-width, see there. The older one of cli-table3 stays: it is CommonJS. */
const ownStringWidth = {
  name: 'own-string-width',
  setup(build) {
    build.onResolve({ filter: /^string-width$/ }, ({ kind }) =>
      kind === 'import-statement'
        ? { path: path.join(root, 'src/terminal/ink/string-width.ts') }
        : undefined,
    );
  },
};

/** A segmenter that is made when something is asked of it. */
const lateSegmenter =
  '{ segment(text) { return (this.made ??= new Intl.Segmenter(undefined, { granularity: "grapheme" })).segment(text); } }';

/**
 * What packages do as soon as they are loaded, and nobody here needs: a fifth of the first frame. A package that has changed
 * there ends the build, for its part must be looked at again.
 */
const lessAtLoading = {
  name: 'less-at-loading',
  setup(build) {
    const without = [
      // What reads and checks a package.json: SPDX, semver and a database of git hosts. The console names itself.
      [
        /meow\/build\/dependencies\.js$/,
        ['var normalizeExports = requireNormalize();', 'var normalizeExports = () => undefined;'],
        ['var libExports = requireLib$1();', 'var libExports = {};'],
        ['promisify(execFile);', ''],
      ],
      // Of Ink, for what is not drawn by Ink here: the first one that is made takes 10 ms.
      [
        /slice-ansi\/tokenize-ansi\.js$/,
        ["new Intl.Segmenter(undefined, {granularity: 'grapheme'})", lateSegmenter],
      ],
      [
        /ansi-tokenize\/build\/tokenize\.js$/,
        ['new Intl.Segmenter(undefined, { granularity: "grapheme" })', lateSegmenter],
      ],
      // It checks what it is given by Node's own tests.
      [
        /signal-exit\/index\.js$/,
        ["var assert = require('assert')", 'var assert = { equal() {} }'],
      ],
      // Yoga reads its WASM out of itself by fetch, and Node loads an HTTP client for that.
      [/yoga-wasm-base64-esm\.js$/, ['"function"!=typeof fetch', 'true']],
      // Ink looks for React's development tools, and awaits at its top level.
      [
        /ink\/build\/reconciler\.js$/,
        ["await import('./devtools.js')", 'undefined'],
        ['await loadPackageJson()', '{}'],
      ],
    ];
    for (const [filter, ...parts] of without) {
      build.onLoad({ filter }, ({ path: file }) => {
        let contents = fs.readFileSync(file, 'utf8');
        for (const [part, instead] of parts) {
          if (!contents.includes(part)) throw new Error(`${file} has no "${part}"`);
          contents = contents.replaceAll(part, () => instead);
        }
        return { contents, loader: 'js' };
      });
    }
  },
};

/** Parts of Node that no start needs, but for one that uses them; each takes one to three milliseconds. */
const lateParts = {
  child_process: ['exec', 'execFile', 'execFileSync', 'execSync', 'fork', 'spawn', 'spawnSync'],
  'fs/promises': Object.keys(fs.promises),
  'readline/promises': ['createInterface'],
  crypto: Object.keys(crypto).filter((name) => name !== 'default'),
  dns: Object.keys(dns).filter((name) => name !== 'default'),
};

/** Has them loaded when one of their functions is asked for. */
const lessOfNode = {
  name: 'less-of-node',
  setup(build) {
    const isLate = new RegExp(`^(node:)?(${Object.keys(lateParts).join('|')})$`);
    build.onResolve({ filter: isLate }, ({ path: name, namespace, kind }) =>
      namespace === 'late' || kind === 'dynamic-import'
        ? { path: name, external: true }
        : { path: name.replace('node:', ''), namespace: 'late' },
    );
    build.onLoad({ filter: /./, namespace: 'late' }, ({ path: name }) => ({
      contents: lateParts[name]
        .map(
          (part) =>
            `Object.defineProperty(exports, '${part}', { enumerable: true, get: () => require('node:${name}').${part} });`,
        )
        .join('\n'),
      loader: 'js',
    }));
  },
};

/**
 * One command by itself, for one that many scripts wait for: what it needs is loaded as one, and nothing besides. The launcher gives it
 * no other command.
 */
const onlyCommand = (name) => ({
  name: 'only-command',
  setup(build) {
    build.onLoad({ filter: /src[\\/]cli[\\/]registry\.ts$/ }, ({ path: file }) => {
      const text = fs.readFileSync(file, 'utf8');
      const own = `async () => (await import('./commands/${name}.js')).command`;
      if (!text.includes(own)) throw new Error(`${file} has no "${own}"`);
      const others = /async \(\) => \(await import\('[^']+'\)\)\.\w+/g;
      // The registry's other commands, each on one line: one that stays is bundled into the program without a word.
      const theirs = text.replace(own, '');
      const loads = theirs.match(/\bimport\(/g) ?? [];
      if (loads.length === 0 || loads.length !== (theirs.match(others) ?? []).length) {
        throw new Error(`${file} loads commands otherwise than "${own}"`);
      }
      const contents = `import { command as only } from './commands/${name}.js';\n${text
        .replace(own, '() => Promise.resolve(only)')
        .replace(
          others,
          "() => Promise.reject(new Error('This command is in another program.'))",
        )}`;
      return { contents, loader: 'ts' };
    });
  },
});

/** Gives pg our own steps of a login, see there. */
const ownCrypto = {
  name: 'own-crypto',
  setup(build) {
    const ours = path.join(root, 'scripts/pg-crypto.cjs');
    build.onLoad({ filter: /pg[\\/]lib[\\/]crypto[\\/]utils\.js$/ }, ({ path: file }) => {
      const names = (text) =>
        /module\.exports = \{([^]*?)\n\}/
          .exec(text)?.[1]
          .match(/^ {2}\w+/gm)
          .sort();
      const contents = fs.readFileSync(ours, 'utf8');
      if (String(names(contents)) !== String(names(fs.readFileSync(file, 'utf8')))) {
        throw new Error(`${file} exports other functions than ${ours}`);
      }
      return { contents, loader: 'js' };
    });
  },
};

/** @param {string} outdir emptied first */
export async function bundle(outdir) {
  const { version } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
  fs.rmSync(outdir, { recursive: true, force: true });
  /** @type {esbuild.BuildOptions} */
  const options = {
    absWorkingDir: root,
    outdir,
    bundle: true,
    splitting: true,
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    jsx: 'automatic',
    // Less to parse before the first frame; names stay as they are in stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    sourcemap: 'linked',
    sourcesContent: false,
    // PGlite finds its WASM files beside its own modules, so it stays a package.
    external: ['@electric-sql/*', 'pg-native'],
    // Read as Latin-1, which takes half of the memory and no decoding.
    charset: 'ascii',
    alias: moduleAliases,
    define: {
      // Development React keeps about 415 KB of every render (measured); production does not.
      'process.env.NODE_ENV': '"production"',
      // pg looks for a web worker by it, and Node loads its fetch for that: 15 ms of the first frame.
      Response: 'undefined',
      __TRACE_CONSOLE_VERSION__: JSON.stringify(version),
    },
    // pg and cli-table3 are CommonJS and call require() at run time.
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    plugins: [ownStringWidth, ownCrypto, lessAtLoading],
    logLevel: 'warning',
    metafile: true,
  };
  const programs = await esbuild.build({
    ...options,
    entryPoints: {
      'embedded-daemon': 'src/embedded/daemon/main.ts',
      'embedded-worker': 'src/embedded/engine/worker.ts',
    },
  });
  const programOptions = {
    ...options,
    splitting: false,
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
    // The prices are a sixth of the whole, and seldom asked for.
    external: [...options.external, '@pydantic/genai-prices'],
    define: { ...options.define, 'import.meta': '__importMeta' },
    banner: {
      js: "const __importMeta = { url: require('node:url').pathToFileURL(__filename).href };",
    },
  };
  const program = await esbuild.build({
    ...programOptions,
    entryPoints: { program: 'src/cli/main.ts' },
    plugins: [...options.plugins, lessOfNode],
  });
  await esbuild.build({
    ...programOptions,
    entryPoints: { status: 'src/cli/main.ts' },
    plugins: [...options.plugins, lessOfNode, onlyCommand('status')],
  });
  identify(path.join(outdir, 'program.cjs'));
  identify(path.join(outdir, 'status.cjs'));
  fs.writeFileSync(path.join(outdir, 'main.js'), "import './program.cjs';\n");
  // The library by itself: sharing chunks with it would cut the program into more of them.
  const router = await esbuild.build({
    ...options,
    entryPoints: { router: 'src/learning/router/index.ts' },
  });
  writeBillOfMaterials(root, outdir, [programs.metafile, program.metafile, router.metafile]);
  for (const [name, source] of Object.entries(serviceLibraries)) {
    await bundleServiceLibrary(outdir, name, source, options.define);
  }
  await bundleHook(outdir);
  writeTypes(outdir, 'router', 'src/learning/router', ['.d.ts']);
  for (const [name, source] of Object.entries(serviceLibraries)) {
    writeTypes(outdir, name, path.dirname(source), ['.d.ts', '.d.cts']);
  }
}

/**
 * Makes a file ASCII, for esbuild leaves regular expressions as they are, and begins it with a digest: what is compiled of it
 * is kept under that, see bin/compiled.js. A script that V8 takes from what was kept cannot import on Node 20
 * ("A dynamic import callback was not specified"), so the launcher does it; `__load` is as long as `import`, for the source map.
 */
function identify(file) {
  let imports = 0;
  const loaded = fs.readFileSync(file, 'utf8').replace(/(?<![\w$.])import(?=\(["(\w])/g, () => {
    imports += 1;
    return '__load';
  });
  if (imports === 0) throw new Error(`${file} imports nothing when it is needed`);
  const text =
    `"use strict";var __load=__load??((name)=>import(name));${withPlainModules(loaded)}`.replace(
      /[^\0-\x7F]/g,
      (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  const digest = createHash('sha256').update(text).digest('hex');
  fs.writeFileSync(file, `/*${digest}*/${text}`);
}

/**
 * Gives each file the modules of Node as they are, with a default. Else every one of the hundred files that import them makes
 * an object of its own, with a getter for each function of the module.
 */
function withPlainModules(text) {
  const plain = text.replace(
    /\b__toESM\((require\("node:[a-z_/]+"\))(?:,1)?\)/g,
    (_, module) => `__plain(${module})`,
  );
  if (plain === text) throw new Error('no module of Node is imported');
  return `var __plain=(module)=>({__proto__:module,default:module});${plain}`;
}

/** What services load: as ESM and as CommonJS, with `pg` as the only package that it needs. */
const serviceLibraries = {
  writer: 'src/ingest/writer/index.ts',
  'otel-exporter': 'src/ingest/otel-exporter/index.ts',
};

async function bundleServiceLibrary(outdir, name, source, define) {
  for (const [format, extension] of [
    ['esm', '.js'],
    ['cjs', '.cjs'],
  ]) {
    await esbuild.build({
      absWorkingDir: root,
      entryPoints: [source],
      outfile: path.join(outdir, `${name}${extension}`),
      bundle: true,
      format,
      platform: 'node',
      target: 'node20',
      minifyWhitespace: true,
      minifySyntax: true,
      legalComments: 'none',
      // The prices are loaded by the exporter alone, when a call of a model comes.
      external: ['pg', '@pydantic/genai-prices'],
      // Unlike in a program, Response is what services answer with.
      define: { ...define, Response: 'Response' },
      banner:
        format === 'esm'
          ? {
              js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
            }
          : {},
      // What is read there is built in.
      logOverride: { 'empty-import-meta': 'silent' },
      logLevel: 'warning',
    });
  }
}

/** The public types of a library stand in two files that import nothing else: index.ts and types.ts. */
function writeTypes(outdir, name, folder, extensions) {
  for (const [source, target] of [
    ['index', name],
    ['types', `${name}-types`],
  ]) {
    const file = path.join(root, folder, `${source}.ts`);
    const { outputText, diagnostics } = ts.transpileDeclaration(fs.readFileSync(file, 'utf8'), {
      fileName: file,
      compilerOptions: {
        isolatedDeclarations: true,
        declaration: true,
        target: ts.ScriptTarget.ES2023,
      },
    });
    if (diagnostics.length > 0) {
      throw new Error(ts.flattenDiagnosticMessageText(diagnostics[0].messageText, '\n'));
    }
    for (const extension of extensions) {
      const types = `./${name}-types.${extension === '.d.cts' ? 'cjs' : 'js'}`;
      const text = outputText.replaceAll("'./types.js'", `'${types}'`);
      fs.writeFileSync(path.join(outdir, `${target}${extension}`), text);
    }
  }
}

/**
 * Gives a module's `fs` as it is. Else each file that imports it makes an object of its hundred functions, a getter for each:
 * a tenth of what the hook takes beside the start of Node.
 */
const plainFs = {
  name: 'plain-fs',
  setup(build) {
    build.onResolve({ filter: /^node:fs$/ }, ({ namespace }) =>
      namespace === 'plain'
        ? { path: 'node:fs', external: true }
        : { path: 'fs', namespace: 'plain' },
    );
    build.onLoad({ filter: /./, namespace: 'plain' }, () => ({
      contents: "const fs = require('node:fs'); export default fs;",
      loader: 'js',
    }));
  },
};

/** The program of the agents' hooks: one CommonJS file, which starts as fast as Node itself. */
async function bundleHook(outdir) {
  await esbuild.build({
    absWorkingDir: root,
    entryPoints: ['src/ingest/hook/main.ts'],
    outfile: path.join(outdir, 'hook.cjs'),
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    plugins: [plainFs],
  });
}
