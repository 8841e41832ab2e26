import { parseFilter } from '../../panes/filter.js';
import { isTyped } from '../keys/written-key.js';
import type { PromptView } from '../model/views.js';
import { completions, runCommandLine } from './command-line.js';
import type { Command } from './commands.js';
import type { ConsoleApp } from './console-app.js';
import { needsLive } from './offline.js';
import { endSearch, searchCommands, searchTyped } from './search-commands.js';

/** More than anybody types; a paste may be longer. */
const longest = 500;

const lastGrapheme = /(?:\P{M}\p{M}*|.)$/su;

/** The text after a key that edits it; undefined for a key that is none. */
export function edited(text: string, key: string): string | undefined {
  switch (key) {
    case 'space':
      return `${text} `;
    case 'backspace':
      return text.replace(lastGrapheme, '');
    case 'ctrl+w':
      return text.replace(/\S+\s*$/, '');
    case 'ctrl+u':
      return '';
    default:
      return isTyped(key) ? text + key : undefined;
  }
}

/** A key while a prompt is open; false leaves it to the key map. */
export function typeIntoPrompt(app: ConsoleApp, view: PromptView, key: string): boolean {
  const text = edited(view.text, key);
  if (text === undefined) return false;
  // Backspace in an empty prompt leaves it, as in an editor.
  if (key === 'backspace' && view.text === '') leavePrompt(app, view);
  else changePrompt(app, view, text);
  return true;
}

export function pasteIntoPrompt(app: ConsoleApp, view: PromptView, pasted: string): void {
  changePrompt(app, view, view.text + pasted.replace(/\s+/g, ' '));
}

function leavePrompt(app: ConsoleApp, { purpose }: PromptView): void {
  if (purpose === 'filter') app.changePane({ filter: '' });
  if (purpose === 'search') endSearch(app, true);
  app.pop();
}

function changePrompt(app: ConsoleApp, view: PromptView, typed: string): void {
  const text = typed.slice(0, longest);
  if (view.purpose === 'command') {
    app.changeView('prompt', (current) => ({ ...current, text, index: 0 }));
    return;
  }
  if (view.purpose === 'search') {
    searchTyped(app, text);
    app.changeView('prompt', (current) => ({ ...current, text }));
    return;
  }
  const parsed = parseFilter(text, app.focusedPane);
  const error = 'error' in parsed ? parsed.error : undefined;
  // What cannot be read yet leaves the rows as they were.
  if (error === undefined) app.changePane({ filter: text.trim() });
  app.changeView('prompt', (current) => ({ ...current, text, error }));
}

function choose(by: number): Command {
  return {
    run(app) {
      const view = app.promptView;
      if (view?.purpose !== 'command') return;
      const last = Math.max(0, completions(app, view.text).length - 1);
      const index = Math.min(Math.max(view.index + by, 0), last);
      app.changeView('prompt', (current) => ({ ...current, index }));
    },
    unavailable: (app) =>
      app.promptView?.purpose === 'command' ? undefined : 'There is nothing to choose from',
  };
}

export const promptCommands = {
  ...searchCommands,
  filter: {
    run(app) {
      const { panes, focus } = app.model;
      const text = panes[focus].filter;
      app.push({ kind: 'prompt', purpose: 'filter', text, index: 0, error: undefined });
    },
    unavailable: needsLive,
  },
  commandLine: {
    run: (app) =>
      app.push({ kind: 'prompt', purpose: 'command', text: '', index: 0, error: undefined }),
    unavailable: needsLive,
  },
  promptAccept: {
    run(app) {
      const view = app.promptView;
      if (!view) return;
      app.pop();
      if (view.purpose === 'command') runCommandLine(app, view.text, view.index);
      if (view.purpose === 'search' && view.text === '') endSearch(app);
    },
    unavailable: ({ promptView: view }) =>
      view?.error === undefined ? undefined : `Not yet: ${view.error}`,
  },
  promptCancel: {
    run(app) {
      if (app.promptView) leavePrompt(app, app.promptView);
    },
  },
  promptComplete: {
    run(app) {
      const view = app.promptView;
      const chosen = view && completions(app, view.text)[view.index];
      if (chosen)
        app.changeView('prompt', (current) => ({ ...current, text: chosen.completed, index: 0 }));
    },
    unavailable: (app) =>
      app.promptView?.purpose === 'command' ? undefined : 'There is nothing to complete',
  },
  promptUp: choose(-1),
  promptDown: choose(1),
} as const satisfies Record<string, Command>;
