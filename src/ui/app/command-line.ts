import { panes, paneKey } from '../../panes/registry.js';
import { nearestWord } from '../../shared/nearest.js';
import { actionName } from '../keys/action-name.js';
import type { Scope } from '../keys/key-map.js';
import { keyText } from '../keys/key-text.js';
import type { Keys } from '../keys/keys.js';
import { fuzzyScore } from '../model/fuzzy.js';
import { scopeOf } from '../model/model.js';
import type { View } from '../model/views.js';
import type { ConsoleApp } from './console-app.js';
import { goToPane } from './pane-commands.js';
import { settings, type Setting } from './settings.js';

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

/**
 * Every pane, every setting with its values, and every command of the keys that fits the text; the best first. In
 * what Enter has opened the keys are those of that.
 */
export function completions(app: ConsoleApp, typed: string): readonly Completion[] {
  const text = typed.trimStart();
  const word = text.split(/\s/, 1)[0] ?? '';
  const setting = settings.find(({ name }) => name === word && text.length > word.length);
  if (setting?.argument !== undefined) {
    return withArgument(app, setting, setting.argument, text);
  }
  return matching(everything(app), text.trim());
}

/** What a setting makes of what is typed behind its name. Where its values are known, anything else is a mistake. */
function withArgument(
  app: ConsoleApp,
  setting: Setting,
  what: string,
  text: string,
): readonly Completion[] {
  const { name, says } = setting;
  const argument = text.slice(name.length).trim();
  const known = matching(valuesOf(app, setting), text.trim());
  if (known.length > 0 && argument !== '') return known;
  const run = (to: ConsoleApp) => setting.run(to, argument);
  return [{ text: `${name} ${argument || what}`, says, completed: text, run }, ...known];
}

function matching(all: readonly Completion[], text: string): Completion[] {
  return all
    .map((each) => ({ each, score: fuzzyScore(text, each.text, each.says) }))
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ each }) => each);
}

/** Everything that can be typed where the prompt was opened. */
function everything(app: ConsoleApp): Completion[] {
  const { keys } = app;
  const scope = scopeOf({ ...app.model, views: app.model.views.filter(isNoPrompt) });
  const isPanes = scope === 'panes';
  return [
    ...panes.map(({ id, title, question }) => {
      const key = paneKey(id);
      const says = `${key === undefined ? '' : `${key}  `}${title}: ${question}`;
      return { text: id, says, completed: id, run: (to: ConsoleApp) => goToPane(to, id) };
    }),
    ...settings
      .filter(({ ofPane }) => isPanes || !ofPane)
      .flatMap((setting) => [...valuesOf(app, setting), ...argumentOf(setting)]),
    ...keyCommands(keys, scope),
  ];
}

const isNoPrompt = ({ kind }: View) => kind !== 'prompt';

/** One line for what is typed freely. */
function argumentOf(setting: Setting): Completion[] {
  const { name, argument, says } = setting;
  if (argument === undefined || setting.values) return [];
  const run = (to: ConsoleApp) => to.say(`${name} needs ${argument}: ${says}`, 'warning');
  return [{ text: `${name} ${argument}`, says, completed: `${name} `, run }];
}

/** One line for each value that is known. */
function valuesOf(app: ConsoleApp, setting: Setting): Completion[] {
  return (setting.values?.(app) ?? []).map((value) => {
    const text = `${setting.name} ${value}`.trimEnd();
    const says = setting.valueSays?.(app, value) ?? setting.says;
    return { text, says, completed: text, run: (to: ConsoleApp) => setting.run(to, value) };
  });
}

/** What the keys do, by name; those that need the key itself (which pane) have lines of their own. */
function keyCommands(keys: Keys, scope: Scope): Completion[] {
  return keys
    .in(scope)
    .filter(({ command }) => command !== 'focus' && command !== 'commandLine')
    .map(({ command, keys: [key = ''], text: says }) => {
      const text = actionName(command);
      const shown = key === '' ? '' : `${keyText(key)}  `;
      const run = (app: ConsoleApp) => app.run(command, key);
      return { text, says: `${shown}${keys.inText(says)}`, completed: text, run };
    });
}

/** Does what the chosen line says. */
export function runCommandLine(app: ConsoleApp, text: string, index: number): void {
  if (text.trim() === '') return;
  const chosen = completions(app, text)[index];
  if (chosen) chosen.run(app);
  else app.say(noSuchCommand(app, text), 'warning');
}

/** That what was typed is no command, and which one may have been meant. */
export function noSuchCommand(app: ConsoleApp, typed: string): string {
  const text = typed.trim();
  const [word = ''] = text.split(/\s/);
  const names = everything(app).map((each) => each.text);
  const nearest = nearestWord(text, names) ?? nearestWord(word, names.map(firstWord));
  return nearest === undefined
    ? `There is no command "${text}"; ${app.keys.keyOf('commandLine')} lists them all`
    : `There is no command "${text}"; did you mean ${nearest}?`;
}

function firstWord(text: string): string {
  return text.split(' ')[0] ?? '';
}
