import {
  existsSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import pty from '@lydell/node-pty';

const root = join(import.meta.dirname, '../..');
const caches = join(root, 'node_modules/.cache/trace-console');
const dayMs = 86_400_000;

/**
 * Lets the programs of a run start as the launcher starts them, with what V8 has compiled of them before: a start compiles for
 * half of its processor time, and the tests start thousands. What is compiled lies in the checkout, since most
 * of these starts have a home of their own.
 *
 * @returns what is to be called once with a database on which a console may compile all that a start needs
 */
export function startCompiled(programs: string): (url: string) => Promise<void> {
  const program = join(programs, 'program.cjs');
  // What is kept fits a file of one time only.
  utimesSync(program, 1, 1);
  const build = readFileSync(program, 'latin1').slice(2, 18);
  const kept = join(caches, `compiled-${build}`);
  removeOld();
  writeFileSync(
    join(programs, 'main.js'),
    `import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
const { load } = createRequire(import.meta.url)(${JSON.stringify(join(root, 'bin/compiled.js'))});
load(fileURLToPath(new URL('./program.cjs', import.meta.url)), ${JSON.stringify(kept)});
`,
  );
  return async (url) => {
    const own = join(kept, 'trace-console');
    const isKept = (name: string) => name.startsWith(`console ${process.version} `);
    if (existsSync(own) && readdirSync(own).some(isKept)) return;
    await startOnce(join(programs, 'main.js'), url);
  };
}

/** Starts a console, and leaves it by its key as soon as the server's vitals are there: they come behind the first rows. */
function startOnce(program: string, url: string): Promise<void> {
  const { PATH, HOME } = process.env;
  const console_ = pty.spawn(process.execPath, [program, '--url', url], {
    cols: 120,
    rows: 35,
    env: { PATH, HOME, LANG: 'C.UTF-8', TERM: 'xterm-256color' },
  });
  return new Promise((resolve, reject) => {
    let shown = '';
    console_.onData((bytes) => {
      shown += bytes;
      if (shown.includes('tps')) console_.write('q');
    });
    console_.onExit(({ exitCode }) => {
      if (exitCode === 0) resolve();
      else reject(new Error(`the first console of the run ended with ${exitCode}:\n${shown}`));
    });
  });
}

function removeOld(): void {
  for (const name of existsSync(caches) ? readdirSync(caches) : []) {
    const folder = join(caches, name);
    if (name.startsWith('compiled-') && Date.now() - statSync(folder).mtimeMs > dayMs) {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
