import type { LiveState, PaneSnapshot } from '../state.js';
import type { PaneId } from '../../panes/pane.js';
import { decodeValue, encodeValue } from './codec.js';
import { applyRowDelta, rowDelta, type RowDelta } from './row-delta.js';

type Snapshots = Partial<Record<PaneId, PaneSnapshot>>;

type PaneFrame = { rows?: RowDelta; rest: unknown };

/** One line of a recording: what of the state has changed at a moment. */
export type Frame = {
  /** Milliseconds by the console's clock. */
  at: number;
  /** By the calendar, milliseconds since 1970. */
  wall: number;
  /** It holds everything, and can be shown without those before it. */
  full: boolean;
  panes: Partial<Record<PaneId, PaneFrame>>;
  /** The rest of the state; absent where nothing of it has changed. */
  rest?: unknown;
};

/** The frame from one state to the next; undefined where nothing has changed. */
export function frameBetween(
  before: LiveState | undefined,
  state: LiveState,
  moment: { at: number; wall: number },
): Frame | undefined {
  const panes = Object.fromEntries(
    Object.values(state.panes).flatMap((snapshot) => {
      const last = before?.panes[snapshot.id];
      return last === snapshot ? [] : [[snapshot.id, paneFrame(last, snapshot)]];
    }),
  );
  const rest = withoutPanes(state);
  const isSame =
    before !== undefined &&
    (Object.keys(rest) as (keyof typeof rest)[]).every((key) => before[key] === rest[key]);
  if (isSame && Object.keys(panes).length === 0) return undefined;
  return {
    ...moment,
    full: before === undefined,
    panes,
    ...(isSame ? {} : { rest: encodeValue(rest) }),
  };
}

function withoutPanes(state: LiveState): Omit<LiveState, 'panes'> {
  const rest: Partial<LiveState> = { ...state };
  delete rest.panes;
  return rest as Omit<LiveState, 'panes'>;
}

function paneFrame(last: PaneSnapshot | undefined, snapshot: PaneSnapshot): PaneFrame {
  const { rows, ...rest } = snapshot;
  return {
    ...(last?.rows === rows ? {} : { rows: rowDelta(last?.rows ?? [], rows) }),
    rest: encodeValue(rest),
  };
}

/** The state after a frame. */
export function applyFrame(before: LiveState | undefined, frame: Frame): LiveState {
  const start = frame.full ? undefined : before;
  const panes: Snapshots = { ...start?.panes };
  for (const [id, { rows, rest }] of Object.entries(frame.panes)) {
    const known = start?.panes[id as PaneId]?.rows ?? [];
    panes[id as PaneId] = {
      ...(decodeValue(rest) as Omit<PaneSnapshot, 'rows'>),
      rows: rows === undefined ? known : applyRowDelta(known, rows),
    };
  }
  const rest = frame.rest === undefined ? start : (decodeValue(frame.rest) as LiveState);
  if (!rest) throw new TypeError('the first frame is not whole');
  return { ...rest, panes: panes as LiveState['panes'] };
}
