import { isDeepStrictEqual } from 'node:util';
import { expect, vi } from 'vitest';
import { paneKey } from '../../../src/panes/registry.js';
import { pressKey } from '../../../src/ui/app/input.js';
import { terminalCommands } from '../../../src/ui/commands/kinds.js';
import type { AppScreen } from './app-screen.js';
import { FixedSource } from './fixed-source.js';

/** Presses each key of the view in front, and expects that each changes or says something. */
export async function pressEach(reopen: () => Promise<AppScreen>): Promise<void> {
  let screen = await reopen();
  const silent: string[] = [];
  try {
    const { scope } = screen.app.front;
    for (const command of screen.app.keys.in(scope)) {
      if (isOfTerminal.has(command.id)) continue;
      for (const key of command.keys) {
        // That of the pane that is focused already.
        if (scope.id === 'panes' && key === paneKey(screen.app.focus.pane.id)) continue;
        const { app } = screen;
        const was = app.model;
        if (!(await hasEffect(screen, key))) silent.push(`${key}: ${command.title}`);
        // What it has begun or answered is not only what the model says.
        if (isOfAction(scope.id) || command.accepts) {
          await screen.close();
          screen = await reopen();
        } else {
          app.actions?.close();
          app.update({ ...was, message: was.message });
        }
      }
    }
    expect(silent).toEqual([]);
  } finally {
    await screen.close();
  }
}

/** The terminal takes these before any view sees them. */
const isOfTerminal = new Set(
  terminalCommands.map(({ id }) => id).filter((id) => id !== 'interrupt'),
);

/** Their dialogs are opened anew after each key. */
const isOfAction = (scope: string) =>
  ['confirm', 'running', 'done', 'quit', 'waiting', 'schema', 'schema-read'].includes(scope);

/** Whether a key changes what is drawn, asks for something else, ends the console, or says something. */
async function hasEffect(screen: AppScreen, key: string): Promise<boolean> {
  const { app } = screen;
  const source = app.source instanceof FixedSource ? app.source : undefined;
  const seen = () => {
    const { views, message, live, ...others } = { ...app.model, nowMs: 0 };
    const drawnViews = views.map((view) => view.draw?.(app));
    return {
      message,
      drawnViews,
      others,
      until: live?.untilMs,
      paused: live?.paused,
      asked: source?.asked,
      ends: screen.ends,
    };
  };
  const before = seen();
  pressKey(app, key);
  return vi
    .waitFor(() => expect(isDeepStrictEqual(seen(), before)).toBe(false), {
      timeout: 3_000,
      interval: 15,
    })
    .then(
      () => true,
      () => false,
    );
}
