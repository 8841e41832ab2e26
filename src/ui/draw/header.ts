import type { Capabilities } from '../../db/capabilities.js';
import type { Alert } from '../../live/alerts/alert-watch.js';
import type { ReplayState } from '../../live/recording/player.js';
import type { ConnectionState, LiveState } from '../../live/state.js';
import type { PaneId } from '../../panes/registry.js';
import {
  formatAge,
  formatDuration,
  formatSpan,
  formatMoment,
  formatTimestamp,
} from '../../core/format/time.js';
import {
  countedShort,
  formatBytes,
  formatCount,
  formatRate,
  formatShare,
} from '../../core/format/number.js';
import { safeLine } from '../../terminal/sanitise.js';
import type { BadgeColour } from '../theme.js';
import { drawSides, type Segment, blank, type StyledLine, fillLine } from './styled-line.js';
import type { Binding, Keymap } from '../keymap.js';
import { displayWidth } from '../../terminal/width.js';

/** How a named connection is told from the others at a glance. */
export type ConnectionBadge = { name: string; production: boolean; colour: BadgeColour };

/** What the header says of the connection; known as soon as it is open. */
export type ConnectionInfo = {
  database: string;
  host: string;
  /** Where the address came from: `--url`, `DATABASE_URL`, … */
  origin: string;
  user: string;
  readOnly: boolean;
  connection: ConnectionBadge | undefined;
};

export type HeaderInput = {
  place: ConnectionInfo | undefined;
  /** The database that is being connected; meanwhile nothing is said of the old one. */
  toward?: { name: string; badge: ConnectionBadge | undefined } | undefined;
  /** What is being done before there is a connection. */
  connecting: string;
  live: LiveState | undefined;
  /** The panes that are asked now. */
  shown?: readonly PaneId[];
  /** The engine's clock, for ages. */
  nowMs: number;
  /** Moments are written in UTC. */
  utc?: boolean;
  replay: ReplayState | undefined;
  recording: { failure: string | undefined } | undefined;
  /** It was opened as the demo: that is said before there is a connection. */
  isDemo?: boolean;
  /** 0..1 of the demo's history is written. */
  filling?: number | undefined;
  alerts: readonly Alert[];
  /** The key that imports what has grown; undefined: none does here. */
  importKey?: string | undefined;
  /** They wait while a moment in the past is shown. */
  alertsPaused?: boolean;
};

export const headerHeight = 2;

/** Two lines: which database this is, and its condition. */
export function drawHeader(input: HeaderInput, width: number): StyledLine[] {
  const { place, toward, connecting, live, nowMs, replay, recording, utc } = input;
  const name: Segment = { text: 'trace-console', look: 'title', priority: 3 };
  const isDemo = !toward && (input.isDemo === true || live?.holdsDemo === true);
  const demo: Segment[] = isDemo ? [{ text: ' DEMO ', look: 'badge', priority: 1 }] : [];
  if (toward || !place || !live) {
    const where = toward ? towardSegments(toward) : place ? placeSegments(place) : [];
    return [
      drawSides(
        {
          left: [name, ...demo, ...where],
          right: [{ text: safeLine(connecting), look: 'muted' }],
          first: 'left',
        },
        width,
      ),
      [blank(width)],
    ];
  }
  const left = [name, ...demo, ...placeSegments(place), ...serverSegments(live.capabilities)];
  const presentSegment = replay
    ? replaySegment(replay, live.paused)
    : connectionSegment(live.connection, nowMs);
  return [
    drawSides(
      {
        left,
        right: [...alertSegments(input), ...recordingSegments(recording), presentSegment],
        first: 'right',
      },
      width,
    ),
    drawSides(
      {
        left: [
          ...paceSegments(live, input.shown ?? [], replay !== undefined),
          ...(utc ? [{ text: 'UTC' }] : []),
        ],
        right: [
          ...fillingSegments(input.filling),
          ...collectingSegments(live.collecting),
          ...grownSegments(live.collecting, input.importKey),
          ...vitalsSegments(live),
        ],
        first: 'left',
      },
      width,
    ),
  ];
}

function placeSegments(place: ConnectionInfo): Segment[] {
  const { database, host, origin, user, readOnly, connection } = place;
  return [
    ...(connection ? [badgeOf(connection)] : []),
    ...(readOnly ? [{ text: ' READ-ONLY ', look: 'badge' as const, priority: 1 }] : []),
    { text: safeLine(`${user}@${database}`), look: 'accent', priority: 1 },
    { text: safeLine(`on ${host}`), priority: 2 },
    // The badge names the connection already.
    ...(connection ? [] : [{ text: safeLine(`(${origin})`), look: 'muted' as const, priority: 5 }]),
  ];
}

function towardSegments({ name, badge }: NonNullable<HeaderInput['toward']>): Segment[] {
  return [badge ? badgeOf(badge) : { text: safeLine(name), look: 'accent', priority: 1 }];
}

function badgeOf({ name, production, colour }: ConnectionBadge): Segment {
  const text = safeLine(production ? ` ${name} · PRODUCTION ` : ` ${name} `);
  return { text, look: `badge-${colour}`, priority: 1 };
}

function serverSegments(capabilities: Readonly<Capabilities>): Segment[] {
  const { serverVersionText, extensions, schema, standby, citus } = capabilities;
  const { vector } = extensions;
  const [version = serverVersionText] = serverVersionText.split(' ');
  return [
    ...(standby ? [{ text: ' STANDBY ', look: 'badge' as const, priority: 1 }] : []),
    ...(schema === 'public' ? [] : [{ text: safeLine(`schema ${schema}`), priority: 2 }]),
    { text: safeLine(`PostgreSQL ${version}`), look: 'muted', priority: 4 },
    ...(citus
      ? [{ text: safeLine(`Citus ${citus.version}`), look: 'muted' as const, priority: 4 }]
      : []),
    vector
      ? { text: safeLine(`pgvector ${vector.version}`), look: 'muted', priority: 6 }
      : { text: 'no pgvector', look: 'warning', priority: 3 },
  ];
}

function connectionSegment(connection: ConnectionState, nowMs: number): Segment {
  switch (connection.state) {
    case 'connecting':
      return { text: '○ connecting', look: 'running' };
    case 'connected':
      return { text: '● connected', look: 'success' };
    case 'reconnecting': {
      const { sinceMs, attempts, nextAttemptMs } = connection;
      const lost = `no connection for ${formatAge(Math.max(1_000, nowMs - sinceMs))}`;
      const wait = nextAttemptMs === undefined ? undefined : Math.max(0, nextAttemptMs - nowMs);
      const next =
        wait === undefined ? 'trying now' : `next try in ${Math.max(1, Math.round(wait / 1000))}s`;
      return { text: ` ○ ${lost}, ${next} (${attempts} failed) `, look: 'alarm' };
    }
  }
}

/** `RECORDING 2026-11-20 14:03:12  × 10  42% played`; nothing of it is live. */
function replaySegment({ wallMs, share, speed, ended }: ReplayState, paused: boolean): Segment {
  const moment = formatTimestamp(new Date(wallMs));
  const state = ended ? 'end of the recording' : paused ? 'paused' : `× ${speed}`;
  return { text: ` RECORDING ${moment}  ${state}  ${formatShare(share)} played `, look: 'badge' };
}

/** One alert is named, several are counted. */
function alertSegments({ alerts, alertsPaused }: HeaderInput): Segment[] {
  if (alertsPaused) return [{ text: 'alerts paused', look: 'warning', priority: 1 }];
  const [first, ...others] = alerts;
  if (!first) return [];
  const text = others.length === 0 ? first.rule : `${others.length + 1} alerts`;
  return [{ text: safeLine(` ! ${text} `), look: 'alarm', priority: 1 }];
}

function recordingSegments(recording: HeaderInput['recording']): Segment[] {
  if (!recording) return [];
  const { failure } = recording;
  return failure === undefined
    ? [{ text: '● rec', look: 'error', priority: 2 }]
    : [{ text: ` recording stopped: ${safeLine(failure)} `, look: 'alarm', priority: 2 }];
}

/**
 * How often panes are to be asked, and how often those that are shown really are: `2s–30s` where one of them is asked less
 * often, `2s, now 8s` where all of them are, because they cost much, answer slowly or change seldom.
 */
function cadenceText({ panes, cadenceMs }: LiveState, shown: readonly PaneId[]): string {
  const intervals = shown.map((id) => panes[id].intervalMs);
  const wanted = formatSpan(cadenceMs);
  const fastestMs = Math.min(...intervals);
  const fastest = formatSpan(fastestMs);
  const slowest = formatSpan(Math.max(...intervals));
  if (intervals.length === 0 || slowest === wanted) return wanted;
  const range = fastest === slowest ? fastest : `${fastest}–${slowest}`;
  return fastestMs > cadenceMs ? `${wanted}, now ${range}` : range;
}

function paceSegments(live: LiveState, shown: readonly PaneId[], replayed: boolean): Segment[] {
  const { windowMs, untilMs, paused } = live;
  const isPast = untilMs !== undefined;
  const moment = isPast ? ` at ${formatMoment(new Date(untilMs))} ` : '';
  return [
    ...(isPast ? [{ text: moment, look: 'badge' as const, priority: 1 }] : []),
    { text: `window ${formatSpan(windowMs)}` },
    { text: `every ${cadenceText(live, shown)}` },
    ...(paused && !replayed ? [{ text: ' PAUSED ', look: 'badge' as const }] : []),
  ];
}

const fillingWidth = 10;

/** `████░░░░░░ 42%` */
export function fillingText(filled: number): string {
  const full = Math.floor(fillingWidth * Math.min(1, Math.max(0, filled)));
  return `${'█'.repeat(full)}${'░'.repeat(fillingWidth - full)} ${formatShare(filled)}`;
}

function fillingSegments(filled: number | undefined): Segment[] {
  if (filled === undefined) return [];
  return [{ text: `history ${fillingText(filled)}`, look: 'running', priority: 1 }];
}

/** Whether what agents do comes in: `collecting, last event 2s ago`, what waits, what could not be written. */
function collectingSegments(collecting: LiveState['collecting']): Segment[] {
  if (!collecting) return [];
  const { state, reason, listensOn, eventAgeMs, waitingBytes, quarantined } = collecting;
  // What comes by transcripts alone is no event.
  const event = eventAgeMs === null ? 'no event yet' : `last event ${formatAge(eventAgeMs)} ago`;
  const waits = waitingBytes > 0 ? `, ${formatBytes(waitingBytes)} waiting` : '';
  return [
    ...(state === 'following'
      ? [{ text: `collecting, ${event}${waits}`, look: 'success' as const, priority: 2 }]
      : []),
    ...(listensOn === undefined
      ? []
      : [{ text: safeLine(`listening on ${listensOn}`), look: 'muted' as const, priority: 6 }]),
    ...(state === 'waiting'
      ? [
          {
            text: safeLine(`collector waits: ${reason ?? 'for the database'}${waits}`),
            look: 'warning' as const,
            priority: 1,
          },
        ]
      : []),
    ...(state === 'ended'
      ? [
          waitingBytes > 0
            ? { text: `no collector${waits}`, look: 'warning' as const, priority: 1 }
            : { text: `collector ended, ${event}`, look: 'muted' as const, priority: 3 },
        ]
      : []),
    ...(state === undefined && eventAgeMs !== null
      ? [{ text: event, look: 'muted' as const, priority: 4 }]
      : []),
    ...(quarantined > 0
      ? [{ text: `${formatCount(quarantined)} quarantined`, look: 'error' as const, priority: 1 }]
      : []),
  ];
}

/** `3 transcripts grew since the import 12m ago: i imports`; what is on the screen of them is old. */
function grownSegments(
  collecting: LiveState['collecting'],
  importKey: string | undefined,
): Segment[] {
  const grown = collecting?.grown;
  if (!grown) return [];
  const key = importKey === undefined ? '' : `: ${importKey} imports`;
  const age = formatAge(grown.importAgeMs);
  const text = `${countedShort(grown.files, 'transcript')} grew since the import ${age} ago${key}`;
  return [{ text, look: 'warning', priority: 1 }];
}

function vitalsSegments({ vitals, capabilities }: LiveState): Segment[] {
  if (!vitals) return [];
  const { transactionsPerSecond, connections, maxConnections, waiting, cacheHit } = vitals;
  const { longestTransaction: longest } = vitals;
  const full = connections >= 0.9 * maxConnections;
  const rate: Segment = { text: `tps ${formatRate(transactionsPerSecond)}`, priority: 2 };
  const cache: Segment = {
    text: `cache ${formatShare(cacheHit)}`,
    look: cacheHit !== null && cacheHit < 0.9 ? 'warning' : undefined,
    priority: 4,
  };
  // All clients of the embedded engine share one session: figures of sessions would mean nothing.
  if (capabilities.embedded) return [rate, cache];
  return [
    ...clockSegments(vitals.clockOffsetMs),
    rate,
    {
      text: `connections ${connections}/${maxConnections}`,
      look: full ? 'error' : undefined,
      priority: 3,
    },
    ...(waiting > 0
      ? [{ text: `${waiting} waiting for locks`, look: 'warning' as const, priority: 1 }]
      : []),
    cache,
    longest
      ? {
          text: `longest tx ${formatDuration(longest.ms)}`,
          look: longest.ms > 60_000 ? 'warning' : undefined,
          priority: 5,
        }
      : { text: 'longest tx –', look: 'muted', priority: 5 },
  ];
}

/** A warning where the server's clock and this machine's differ much: ages and moments go by the server's. */
function clockSegments(offsetMs: number): Segment[] {
  if (Math.abs(offsetMs) < badClockMs) return [];
  const side = offsetMs > 0 ? 'ahead' : 'behind';
  const text = `server clock ${formatDuration(Math.abs(offsetMs))} ${side}`;
  return [{ text, look: 'warning', priority: 1 }];
}

const badClockMs = 60_000;

/** `room`: in columns, with the gap before it. */
type Item = { key: string; label: string; priority: number; room: number };

/** The keys of a scope on one line, those that are shown; where it is narrow the least important go first. */
export function drawKeyBar<Command extends Binding>(
  keys: Keymap<Command>,
  scope: { id: string },
  width: number,
  isShown: (command: Command) => boolean = () => true,
): StyledLine {
  const items: Item[] = keys
    .in(scope)
    .filter((command) => command.bar !== undefined && command.keys.length > 0 && isShown(command))
    .map((binding) => {
      const [key, label] = [keys.barKeys(binding), binding.bar ?? ''];
      const room = displayWidth(key) + 1 + displayWidth(label) + 2;
      return { key, label, priority: binding.priority ?? 9, room };
    });
  let left = width - items.reduce((sum, { room }) => sum + room, 0);
  while (items.length > 1 && left < 0) {
    const last = items.reduce((worst, item, index) => {
      return item.priority >= (items[worst]?.priority ?? 0) ? index : worst;
    }, 0);
    left += items[last]?.room ?? 0;
    items.splice(last, 1);
  }
  const spans = items.flatMap(({ key, label }, index) => [
    { text: index === 0 ? ' ' : '  ' },
    { text: key, look: 'key' as const },
    { text: ` ${label}` },
  ]);
  return fillLine(spans, width);
}
