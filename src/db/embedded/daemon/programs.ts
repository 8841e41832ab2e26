import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { consoleVersion } from '../../../shared/version.js';

/** The programs of the embedded database, built or as source. */
export type Programs = {
  daemon: string;
  /** Flags for Node, without which TypeScript files do not run. */
  execArgv: string[];
  worker: URL;
  /** The template data folder; undefined when it was not built: then initdb runs, for seconds. */
  template: string | undefined;
};

const existing = (url: URL): string | undefined => {
  const file = fileURLToPath(url);
  return fs.existsSync(file) ? file : undefined;
};

/** The built programs in a folder; undefined when they are not there. */
export function builtPrograms(folder: URL): Programs | undefined {
  const daemon = existing(new URL('embedded-daemon.js', folder));
  if (daemon === undefined) return undefined;
  return {
    daemon,
    execArgv: [],
    worker: new URL('embedded-worker.js', folder),
    template: existing(new URL('embedded-template.tar.gz', folder)),
  };
}

/** The programs that belong to this file: beside it (or its chunk) when built, else the source. */
export function locatePrograms(): Programs {
  const here = new URL('./', import.meta.url);
  const built = builtPrograms(here) ?? builtPrograms(new URL('../', here));
  if (built) return built;
  const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return {
    daemon: fileURLToPath(new URL('main.ts', here)),
    execArgv: ['--import', loader],
    worker: typescriptWorker(
      new URL('../engine/worker.ts', here).href,
      new URL('esm/api/index.mjs', loader).href,
    ),
    template: existing(new URL('../../../../dist/embedded-template.tar.gz', here)),
  };
}

/** A thread does not inherit the loader for TypeScript: it has to register one itself. */
function typescriptWorker(file: string, loader: string): URL {
  const program = `import { register } from '${loader}'; register(); await import('${file}');`;
  return new URL(`data:text/javascript,${encodeURIComponent(program)}`);
}

/** Tells one build of the same version from another, as they follow each other in development. */
export function buildOf(programs: Programs): string {
  const worker = programs.worker.protocol === 'file:' ? [fileURLToPath(programs.worker)] : [];
  const stamps = [programs.daemon, ...worker].map((file) => {
    const { mtimeMs, size } = fs.statSync(file);
    return `${file} ${mtimeMs} ${size}`;
  });
  const hash = createHash('sha256').update(stamps.join('\n')).digest('hex').slice(0, 12);
  return `${consoleVersion()}+${hash}`;
}
