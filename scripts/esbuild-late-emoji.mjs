// string-width prepares for emoji when it is loaded: the set of all of them takes 14 ms, a segmenter 9 (measured on
// Node 20), a third of the time to the first frame, in which there is none. This build step puts both off until a text
// needs them; it fails when string-width is no longer written so.
import fs from 'node:fs';

/** What every recommended emoji has at least one of; few other texts have any. */
const partOfEmoji = String.raw`/[\p{Extended_Pictographic}\p{Regional_Indicator}\p{Emoji_Modifier}\u20e3]/u`;

const replaced = new Map([
  [
    'const segmenter = new Intl.Segmenter();',
    `let lateSegmenter;
const segmenter = { segment: (text) => (lateSegmenter ??= new Intl.Segmenter()).segment(text) };`,
  ],
  [
    String.raw`const rgiEmojiRegex = /^\p{RGI_Emoji}$/v;`,
    String.raw`let lateEmoji;
const rgiEmojiRegex = {
  test: (text) =>
    ${partOfEmoji}.test(text) && (lateEmoji ??= new RegExp('^\\p{RGI_Emoji}$', 'v')).test(text),
};`,
  ],
]);

export const lateEmoji = {
  name: 'late-emoji',
  setup(build) {
    build.onLoad({ filter: /[\\/]string-width[\\/]index\.js$/ }, async ({ path }) => {
      let contents = await fs.promises.readFile(path, 'utf8');
      // The older one that wrap-ansi brings has no such set.
      if (!contents.includes('const rgiEmojiRegex')) return undefined;
      for (const [now, late] of replaced) {
        if (!contents.includes(now)) throw new Error(`string-width has changed: no "${now}"`);
        contents = contents.replace(now, () => late);
      }
      return { contents, loader: 'js' };
    });
  },
};
