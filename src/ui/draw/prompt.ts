import { safeLine } from '../../terminal/sanitise.js';
import { displayWidth, fit } from '../../terminal/width.js';
import type { Keys } from '../keys/keys.js';
import { scrollTop } from '../model/pane-view.js';
import type { PromptView } from '../model/views.js';
import type { Theme } from '../theme.js';
import { drawSides } from './segments.js';

const helps: Readonly<Record<PromptView['purpose'], string>> = {
  filter: 'Enter keeps it, Esc shows all',
  search: 'Enter keeps it, :next-match :previous-match lead on, Esc leads back',
  command: ':prompt-complete completes, Enter does it, Esc leaves',
};

/** What is typed, on the bottom line, with what is wrong with it or how it goes on. */
export function drawPrompt(theme: Theme, keys: Keys, view: PromptView, width: number): string {
  const { purpose, text, error } = view;
  const typed = safeLine(text);
  // The end of a long text is what is being typed.
  const room = Math.max(8, width - 6);
  const shown = displayWidth(typed) > room ? `…${lastColumns(typed, room)}` : typed;
  return drawSides(
    theme,
    {
      left: [{ text: ` ${purpose === 'command' ? ':' : '/'}${shown}█`, look: 'accent' }],
      right: [
        {
          text: error ?? keys.inText(helps[purpose]),
          look: error === undefined ? 'muted' : 'error',
        },
      ],
      first: 'left',
    },
    width,
  );
}

/** The longest end of a text that fits. */
function lastColumns(text: string, columns: number): string {
  const characters = Array.from(text);
  let room = columns;
  const start = characters.findLastIndex((character) => (room -= displayWidth(character)) < 0);
  return characters.slice(start + 1).join('');
}

type Choice = { text: string; says: string };

/** The lines that fit what is typed, each with what it does; the chosen one marked. */
export function choiceLines(
  theme: Theme,
  choices: readonly Choice[],
  index: number,
  size: { width: number; height: number },
): string[] {
  const { width, height } = size;
  const longest = Math.max(0, ...choices.map(({ text }) => displayWidth(text)));
  const names = Math.min(longest, Math.floor(width / 2)) + 2;
  const room = Math.max(0, width - names);
  const top = scrollTop(0, index, height, choices.length);
  return choices.slice(top, top + height).map(({ text, says }, line) => {
    const name = fit(safeLine(text), names);
    const rest = fit(safeLine(says), room);
    return top + line === index
      ? theme.paint('selected', name + rest)
      : name + theme.paint('muted', rest);
  });
}
