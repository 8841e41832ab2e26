// Ink 6.8 takes 48 ms to put a frame of 200×60 together (measured on a busy machine), 30 times what
// its layout costs. This build step puts our own modules in the place of the three that take that
// time; it fails when Ink no longer has them.
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ours = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../src/terminal/ink');
const replaced = new Map([
  ['./output.js', 'output.ts'],
  ['./sanitize-ansi.js', 'sanitize-ansi.ts'],
  ['widest-line', 'widest-line.ts'],
]);

export const fastInk = {
  name: 'fast-ink',
  setup(build) {
    const found = new Set();
    build.onStart(() => found.clear());
    build.onResolve({ filter: /^(\.\/output\.js|\.\/sanitize-ansi\.js|widest-line)$/ }, (args) => {
      if (!/[\\/]ink[\\/]build$/.test(args.resolveDir)) return undefined;
      found.add(args.path);
      return { path: path.join(ours, replaced.get(args.path)) };
    });
    build.onEnd(() => {
      const missing = [...replaced.keys()].filter((name) => !found.has(name));
      // A bundle without Ink has nothing to replace.
      if (found.size === 0 || missing.length === 0) return;
      throw new Error(`Ink has changed: it no longer imports ${missing.join(', ')}`);
    });
  },
};
