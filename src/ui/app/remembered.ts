import fs from 'node:fs';
import path from 'node:path';
import { overviewPaneIds, paneIds, type PaneId } from '../../panes/pane.js';
import { paneById } from '../../panes/registry.js';
import { initialPaneView } from '../model/pane-view.js';
import type { Model } from '../model/model.js';

/** What the console was left with, as it is kept between two runs. */
type Remembered = {
  overview: PaneId[];
  focus: PaneId;
  /** Pane to the id of its sort. */
  sorts: Partial<Record<PaneId, { by: string; reversed: boolean }>>;
  utc: boolean;
};

type Choices = Pick<Model, 'overview' | 'focus' | 'home' | 'panes' | 'utc'>;

/** Beside the log, in the folder for state. */
export function layoutFile(logFile: string): string {
  return path.join(path.dirname(logFile), 'layout.json');
}

/** The layout of the last run; what cannot be read, or is no longer known, is as it is at first. */
export function recall(file: string, initial: Choices): Choices {
  const kept = readKept(file);
  const known = (id: unknown): id is PaneId => (paneIds as readonly unknown[]).includes(id);
  const { overview: chosen } = kept;
  const overview = Array.isArray(chosen) ? paneIds.filter((id) => chosen.includes(id)) : [];
  const shown: readonly PaneId[] = overview.length > 0 ? overview : overviewPaneIds;
  const [first = initial.focus] = shown;
  const focus = known(kept.focus) && shown.includes(kept.focus) ? kept.focus : first;
  const panes = { ...initial.panes };
  for (const [id, order] of Object.entries(kept.sorts ?? {})) {
    if (!known(id) || !isRecord(order)) continue;
    const sort = paneById(id).sorts.findIndex((each) => each.id === order.by);
    if (sort >= 0) panes[id] = { ...initialPaneView, sort, reversed: order.reversed === true };
  }
  return { overview: shown, focus, home: focus, panes, utc: kept.utc === true };
}

/** Written when the console ends. A file that cannot be written is no reason to fail. */
export function remember(file: string, { overview, home, panes, utc }: Choices): void {
  const sorts: Remembered['sorts'] = {};
  for (const id of paneIds) {
    const { sort, reversed } = panes[id];
    const by = paneById(id).sorts[sort]?.id;
    if (by !== undefined && (sort > 0 || reversed)) sorts[id] = { by, reversed };
  }
  const kept: Remembered = { overview: [...overview], focus: home, sorts, utc };
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
    fs.writeFileSync(file, `${JSON.stringify(kept, null, 2)}\n`, { mode: 0o600 });
  } catch {
    // The next run begins as the first one.
  }
}

/** A file that anybody may have edited. */
function readKept(file: string): Partial<Record<keyof Remembered, unknown>> {
  try {
    const kept: unknown = JSON.parse(fs.readFileSync(file, 'utf8'));
    return isRecord(kept) ? kept : {};
  } catch {
    return {};
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
