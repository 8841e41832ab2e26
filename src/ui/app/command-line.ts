import { panes, paneKey } from '../../panes/registry.js';
import { actionName } from '../keys/action-name.js';
import type { Keys } from '../keys/keys.js';
import { fuzzyScore } from '../model/fuzzy.js';
import type { ConsoleApp } from './console-app.js';
import { goToPane } from './pane-commands.js';
import { settings } from './settings.js';

/** One line that can be chosen. */
export type Completion = {
  /** What is typed for it. */
  text: string;
  /** What it does. */
  says: string;
  /** What Tab makes of the line. */
  completed: string;
  run(app: ConsoleApp): void;
};

/** Every pane, every setting with its values, and every command of the panes' keys that fits the text; the best first. */
export function completions(app: ConsoleApp, typed: string): readonly Completion[] {
  const text = typed.trimStart();
  const word = text.split(/\s/, 1)[0] ?? '';
  const setting = settings.find(({ name }) => name === word && text.length > word.length);
  const argument = text.slice(word.length).trim();
  if (setting?.argument !== undefined) {
    const { name, argument: what, says } = setting;
    const run = (to: ConsoleApp) => setting.run(to, argument);
    const own = { text: `${name} ${argument || what}`, says, completed: text, run };
    return [own, ...matching(valuesOf(app), text).filter((each) => each.text.startsWith(name))];
  }
  return matching(everything(app), text.trim());
}

function matching(all: readonly Completion[], text: string): Completion[] {
  return all
    .map((each) => ({ each, score: fuzzyScore(text, each.text, each.says) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ each }) => each);
}

function everything(app: ConsoleApp): Completion[] {
  return [
    ...panes.map(({ id, title, question }) => {
      const key = paneKey(id);
      const says = `${key === undefined ? '' : `${key}  `}${title}: ${question}`;
      return { text: id, says, completed: id, run: (to: ConsoleApp) => goToPane(to, id) };
    }),
    ...valuesOf(app),
    ...settings.flatMap(({ name, argument, says }) =>
      argument === undefined
        ? []
        : {
            text: `${name} ${argument}`,
            says,
            completed: `${name} `,
            run: (to: ConsoleApp) => to.say(`${name} needs ${argument}: ${says}`, 'warning'),
          },
    ),
    ...keyCommands(app.keys),
  ];
}

/** Settings whose values are known, one line a value. */
function valuesOf(app: ConsoleApp): Completion[] {
  return settings.flatMap((setting) =>
    (setting.values?.(app) ?? []).map((value) => {
      const text = `${setting.name} ${value}`.trimEnd();
      const { says } = setting;
      return { text, says, completed: text, run: (to: ConsoleApp) => setting.run(to, value) };
    }),
  );
}

/** What the keys do, by name; those that need the key itself (which pane) have lines of their own. */
function keyCommands(keys: Keys): Completion[] {
  return keys
    .in('panes')
    .filter(({ command }) => command !== 'focus' && command !== 'commandLine')
    .map((binding) => {
      const { command, keys: bound, text: says } = binding;
      const text = actionName(command);
      const [key = ''] = bound;
      return {
        text,
        says: `${key === '' ? '' : `${keys.keyOf(command, 'panes')}  `}${keys.inText(says)}`,
        completed: text,
        run: (app: ConsoleApp) => app.run(command, key),
      };
    });
}

/** Does what the chosen line says. */
export function runCommandLine(app: ConsoleApp, text: string, index: number): void {
  if (text.trim() === '') return;
  const chosen = completions(app, text)[index];
  if (chosen) chosen.run(app);
  else
    app.say(
      `There is no command "${text.trim()}"; ${app.keys.keyOf('commandLine')} lists them all`,
      'warning',
    );
}
