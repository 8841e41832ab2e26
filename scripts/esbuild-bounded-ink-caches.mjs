// Ink keeps every distinct string it ever measured or wrapped (about 85 MB an hour on live data,
// measured on Ink 6.8.0). This build step bounds both caches; it fails when Ink's code has changed.
import fs from 'node:fs/promises';

// Few, because a text here is a whole pane: 10 kB, new with every refresh.
const limit = 128;

const patches = {
  'measure-text.js': [
    ['const cache = new Map();', `const cache = new Map(); const limit = ${limit};`],
    [
      'cache.set(text, dimensions);',
      'if (cache.size >= limit) cache.clear(); cache.set(text, dimensions);',
    ],
  ],
  'wrap-text.js': [
    ['const cache = {};', `let cache = {}; let entries = 0; const limit = ${limit};`],
    [
      'cache[cacheKey] = wrappedText;',
      'if (++entries > limit) { cache = {}; entries = 1; } cache[cacheKey] = wrappedText;',
    ],
  ],
};

export const boundedInkCaches = {
  name: 'bounded-ink-caches',
  setup(build) {
    build.onLoad(
      { filter: /[\\/]ink[\\/]build[\\/](measure-text|wrap-text)\.js$/ },
      async (args) => {
        let contents = await fs.readFile(args.path, 'utf8');
        const name = args.path.split(/[\\/]/).at(-1);
        for (const [from, to] of patches[name]) {
          if (!contents.includes(from))
            throw new Error(`${name} of Ink has changed: "${from}" not found`);
          contents = contents.replace(from, to);
        }
        return { contents };
      },
    );
  },
};
