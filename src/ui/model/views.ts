import type { ActionName } from '../../maintenance/registry.js';
import type { Preview, Progress } from '../../maintenance/action.js';
import type { Exportable } from '../../panes/export/exportable.js';
import type { DetailSection } from '../../panes/details/section.js';
import type { Opening, RecordRow } from '../../panes/opening.js';
import type { Tone } from '../../panes/pane.js';
import type { ConnectionChoice } from '../connection-choice.js';
import type { Scope } from '../keys/key-map.js';
import type { ScrollPlace } from './cursor.js';
import type { ListView } from './list-view.js';
import type { RecordFolds } from './record-tree.js';
import type { Search } from './search.js';
import type { TraceView } from './trace-view.js';

/** Of what Enter opened: which one it is, and how it is read again. */
export type OpenedBy = { id: number; opening: Opening };

/** What Enter opened, until it is read, or when it could not be. */
export type WaitingView = OpenedBy & {
  kind: 'waiting';
  failure: { message: string; hint: string | undefined } | undefined;
};

/** One row in full, or several. */
export type RecordView = OpenedBy & {
  kind: 'record';
  title: string;
  rows: readonly RecordRow[];
  sections: readonly DetailSection[];
  folds: RecordFolds;
  /** The line that the cursor is on; beyond the last one it is there, also when that is not known yet. */
  index: number;
  place: ScrollPlace;
  search?: Search | undefined;
};

/** A line to type into: what filters the focused pane, is searched for, or the name of a command. */
export type PromptView = {
  kind: 'prompt';
  purpose: 'filter' | 'search' | 'command';
  text: string;
  /** The chosen one of the lines that fit a command. */
  index: number;
  /** What is wrong with the text. */
  error: string | undefined;
};

/** All panes there are, to choose from. */
export type PaneListView = { kind: 'paneList'; index: number };

/** What lies over the panes because Enter opened it. */
export type OpenedView = WaitingView | RecordView | ListView | TraceView;

/** Asked in which form rows are written to a file. */
export type ExportView = { kind: 'export'; exportable: Exportable };

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

/** Asked before the console ends, or goes to another database, although an action runs. */
export type QuitView = { kind: 'quit'; toward?: ConnectionChoice; chosen?: WayToQuit };

/** On the way to another database; the one before is still there behind it. */
export type ConnectingView = {
  kind: 'connecting';
  choice: ConnectionChoice;
  /** Where Escape leads back to. */
  back: string;
  progress: string;
  failure: { message: string; hint: string | undefined } | undefined;
};

/** The databases that the console can go to, to choose from. */
export type ConnectionsView = { kind: 'connections'; index: number };

/** What becomes of the running action: waited for, cancelled, or left to the server. */
export type WayToQuit = 'wait' | 'cancel' | 'leave';

/** Something to be read before going on. */
export type NoticeView = { kind: 'notice'; title: string; lines: readonly string[] };

/** What lies over the panes; the last one has the keys. */
export type View =
  | PromptView
  | PaneListView
  | OpenedView
  | ExportView
  | HelpView
  | ActionView
  | QuitView
  | ConnectingView
  | ConnectionsView
  | NoticeView;

export function scopeOfView(view: View): Scope {
  switch (view.kind) {
    case 'prompt':
    case 'paneList':
    case 'export':
    case 'waiting':
    case 'record':
    case 'list':
    case 'trace':
    case 'help':
    case 'quit':
    case 'connecting':
    case 'connections':
      return view.kind;
    case 'notice':
      return 'done';
    case 'action':
      if (view.phase === 'confirm') return view.preview?.nothing ? 'done' : 'confirm';
      return view.phase === 'done' || view.phase === 'preview' ? 'done' : 'running';
  }
}

export type CoveringView = OpenedView | HelpView | ConnectingView;

/** Whether it hides the panes wholly, so that they need not be asked. */
export function coversPanes(view: View): view is CoveringView {
  return view.kind === 'help' || view.kind === 'connecting' || isOpened(view);
}

export function isOpened(view: View): view is OpenedView {
  return ['waiting', 'record', 'list', 'trace'].includes(view.kind);
}
