import type { ActionName } from '../../maintenance/registry.js';
import type { Preview, Progress } from '../../maintenance/action.js';
import type { Tone } from '../../panes/pane.js';
import type { Scope } from '../keys/key-map.js';

/** Rows of a table as the server gave them: column name to value. */
export type RecordRow = Readonly<Record<string, unknown>>;

/** One row in full, or the rows behind one. */
export type RecordView = {
  kind: 'record';
  title: string;
  /** Undefined while they are fetched. */
  rows: readonly RecordRow[] | undefined;
  failure: { message: string; hint: string | undefined } | undefined;
  unfolded: boolean;
  top: number;
};

/** All panes there are, to choose from. */
export type PaneListView = { kind: 'paneList'; index: number };

export type HelpView = { kind: 'help'; top: number };

/** A maintenance action from its preview to its result. */
export type ActionView = {
  kind: 'action';
  name: ActionName;
  title: string;
  phase: 'preview' | 'confirm' | 'running' | 'cancelling' | 'done';
  preview: Preview | undefined;
  /** What was typed of the word that confirms. */
  typed: string;
  progress: Progress | undefined;
  startedAtMs: number;
  result: { text: string; hint: string | undefined; tone: Tone } | undefined;
};

/** Asked before the console ends although an action runs. */
export type QuitView = { kind: 'quit' };

/** Something to be read before going on. */
export type NoticeView = { kind: 'notice'; title: string; lines: readonly string[] };

/** What lies over the panes; the last one has the keys. */
export type View = PaneListView | RecordView | HelpView | ActionView | QuitView | NoticeView;

export function scopeOfView(view: View): Scope {
  switch (view.kind) {
    case 'paneList':
    case 'record':
    case 'help':
    case 'quit':
      return view.kind;
    case 'notice':
      return 'done';
    case 'action':
      if (view.phase === 'confirm') return view.preview?.nothing ? 'done' : 'confirm';
      return view.phase === 'done' || view.phase === 'preview' ? 'done' : 'running';
  }
}

/** Whether it hides the panes wholly, so that they need not be asked. */
export function coversPanes(view: View): boolean {
  return view.kind === 'record' || view.kind === 'help';
}
