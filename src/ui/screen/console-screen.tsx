import { useSyncExternalStore } from 'react';
import type { Store } from '../../live/state.js';
import { mount } from '../../terminal/ink/mount.js';
import { safeLine } from '../../terminal/sanitise.js';
import type { TerminalSession } from '../../terminal/session.js';
import { wrapText } from '../../terminal/width.js';
import { isOnBar, quitCommand } from '../commands/kinds.js';
import { importCommand } from '../../maintenance/import-sessions.js';
import type { Context, Model } from '../context.js';
import { drawHeader, headerHeight, drawKeyBar } from '../draw/header.js';
import { drawSegments, styled } from '../draw/styled-line.js';
import { isTooSmall, leastSize } from '../layout/layout.js';
import { visiblePanes } from '../model/model.js';
import { Lines } from './boxes.js';

/** What the root of the screen needs of the app. */
export interface ScreenSource extends Context {
  readonly store: Store<Model>;
}

/** Loads Ink and hands it the screen. */
export function mountConsole(session: TerminalSession, app: ScreenSource): Promise<void> {
  return mount(session, <ConsoleScreen app={app} />);
}

/** The root: draws the model whenever it changes. */
export function ConsoleScreen({ app }: { app: ScreenSource }) {
  const { size } = useSyncExternalStore(app.store.subscribe, app.store.getState);
  if (isTooSmall(size)) return <TooSmall context={app} />;
  return (
    <>
      <Header context={app} />
      <ViewStack context={app} />
      <BottomLine context={app} />
    </>
  );
}

function Header({ context }: { context: Context }) {
  const { model, keys, front } = context;
  const { columns } = model.size;
  const importing = keys.in(front.scope).find(({ id }) => id === importCommand.id);
  const canImport = importing?.unavailable?.(context, '') === undefined;
  const importKey = importing && canImport ? keys.keyOf(importing.id) : undefined;
  const destination = model.views.find((view) => view.destination)?.destination;
  const lines = drawHeader(
    { ...model, ...destination, shown: visiblePanes(model), importKey },
    columns,
  );
  return <Lines lines={lines} x={0} y={0} width={columns} height={headerHeight} />;
}

/** The view that covers all behind it, and the focused one in front of that. */
function ViewStack({ context }: { context: Context }) {
  const { views } = context.model;
  const bottom = Math.max(
    0,
    views.findLastIndex(({ covers }) => covers),
  );
  const front = views.length - 1;
  return (
    <>
      {views[bottom]?.draw?.(context)}
      {front > bottom ? views[front]?.draw?.(context) : null}
    </>
  );
}

/** The key bar; for some seconds instead a message about what a key did, or why it could not. */
function BottomLine({ context }: { context: Context }) {
  const { model, keys, front } = context;
  const { columns, rows } = model.size;
  const { message } = model;
  const line = message
    ? drawSegments([{ text: ` ${safeLine(message.text)}`, look: message.tone }], columns)
    : (front.drawBottomLine?.(context) ??
      drawKeyBar(keys, front.scope, columns, (command) => isOnBar(context, command)));
  return <Lines lines={[line]} x={0} y={rows - 1} width={columns} height={1} />;
}

/** A screen on which nothing readable can be drawn. */
function TooSmall({ context }: { context: Context }) {
  const { model, keys, actions } = context;
  const { columns: width, rows: height } = model.size;
  // The quit dialog could not be read here.
  const way = actions?.isRunning
    ? 'An action is running; Ctrl-C twice cancels it.'
    : `${keys.keyOf(quitCommand(context)?.id ?? '')} quits.`;
  const message = `${width}×${height} is too small: at least ${leastSize.columns}×${leastSize.rows}. ${way}`;
  const lines = wrapText(message, width, height).map((line) => styled(line));
  return <Lines lines={lines} x={0} y={0} width={width} height={height} />;
}
