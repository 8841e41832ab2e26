import type { Alert } from '../../live/alerts/alert-watch.js';
import type { ReplayState } from '../../live/recording/player.js';
import type { LiveState } from '../../live/state.js';
import { overviewPaneIds, paneIds, type PaneId, type Tone } from '../../panes/pane.js';
import type { Place } from '../draw/header.js';
import { headerHeight } from '../draw/header.js';
import type { Scope } from '../keys/key-map.js';
import { placePanes, type Layout, type Rectangle, type Size } from '../layout/layout.js';
import { initialPaneView, type PaneView } from './pane-view.js';
import { scopeOfView, type View } from './views.js';

export type Message = { text: string; tone: Tone };

/** The first run, or a schema that lacks something. */
export type SchemaStage = {
  kind: 'schema';
  phase: 'ask' | 'applying' | 'failed' | 'incompatible';
  title: string;
  /** What would be done, or why it cannot be. */
  lines: readonly string[];
  steps: readonly { name: string; outcome: string }[];
  total: number;
};

export type Stage = { kind: 'opening' } | SchemaStage | { kind: 'live' };

/** Everything that is drawn. Immutable. */
export type Model = {
  size: Size;
  stage: Stage;
  /** What is being done until there is something to show. */
  opening: string;
  place: Place | undefined;
  live: LiveState | undefined;
  /** The engine's clock at the last look, for ages. */
  nowMs: number;
  /** Where the recording is that is played; undefined on a database. */
  replay: ReplayState | undefined;
  /** What is shown is recorded; `failure` says why it is no more. */
  recording: { failure: string | undefined } | undefined;
  /** The rules that hold now. */
  alerts: readonly Alert[];
  /** They wait while a moment in the past is shown. */
  alertsPaused: boolean;
  /** Shown together; every other pane takes the whole screen. Never empty. */
  overview: readonly PaneId[];
  /** The pane that has the keys. */
  focus: PaneId;
  /** The pane of the overview that had the keys last: where Escape leads to. */
  home: PaneId;
  zoomed: boolean;
  /** Moments are written in UTC, not in the time zone of this machine. */
  utc: boolean;
  panes: Readonly<Record<PaneId, PaneView>>;
  views: readonly View[];
  message: Message | undefined;
};

export function initialModel(size: Size): Model {
  return {
    size,
    stage: { kind: 'opening' },
    opening: 'connecting …',
    place: undefined,
    live: undefined,
    nowMs: 0,
    replay: undefined,
    recording: undefined,
    alerts: [],
    alertsPaused: false,
    overview: overviewPaneIds,
    focus: 'recent-traces',
    home: 'recent-traces',
    zoomed: false,
    utc: false,
    panes: Object.fromEntries(paneIds.map((id) => [id, initialPaneView])) as Model['panes'],
    views: [],
    message: undefined,
  };
}

/** What is left on the way from one database to another: nothing of its rows, and how they are looked at. */
export function detached({ panes }: Model): Partial<Model> {
  const looked = Object.entries(panes).map(([id, { sort, reversed }]) => [
    id,
    { ...initialPaneView, sort, reversed },
  ]);
  return {
    stage: { kind: 'opening' },
    opening: 'connecting …',
    place: undefined,
    live: undefined,
    recording: undefined,
    alerts: [],
    alertsPaused: false,
    views: [],
    panes: Object.fromEntries(looked) as Model['panes'],
  };
}

/** Who gets the keys. */
export function scopeOf({ stage, views }: Model): Scope {
  const view = views.at(-1);
  if (view) return scopeOfView(view);
  return stage.kind === 'schema' ? 'schema' : 'panes';
}

/** Between header and key bar. */
export function bodyOf({ columns, rows }: Size): Rectangle {
  return { x: 0, y: headerHeight, width: columns, height: Math.max(0, rows - headerHeight - 1) };
}

/** Whether the pane with the keys is one that the overview does not show. */
export function isBesideOverview({ overview, focus }: Pick<Model, 'overview' | 'focus'>): boolean {
  return !overview.includes(focus);
}

export function layoutOf(model: Model): Layout {
  const { size, overview, focus, zoomed } = model;
  return placePanes(overview, bodyOf(size), focus, zoomed || isBesideOverview(model));
}
