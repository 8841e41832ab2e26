import { breather } from '../../core/clock.js';
import { isObject } from '../../core/values.js';
import type { Database } from '../../db/database.js';
import type { AgentEvent } from '../events.js';
import type { AgentId } from '../install/agent.js';
import type { TelemetrySpan } from '../otlp/decode.js';
import { toldBy } from '../otlp/records.js';
import { prepareWithSpans, recordPrepared, type ToRecord } from '../otlp/staging.js';
import type { Recorder } from '../recorder.js';
import { figuresProblem, keepFigures, withoutPrivilege, type Figure } from '../otlp/kept-trace.js';
import { type HookAdapter, ToolPairs } from '../sources/hook-payload.js';
import { claudeHooks } from '../sources/hooks-claude.js';
import { codexHooks } from '../sources/hooks-codex.js';
import { copilotHooks } from '../sources/hooks-copilot.js';
import { cursorHooks } from '../sources/hooks-cursor.js';
import { geminiHooks } from '../sources/hooks-gemini.js';
import { opencodeHooks } from '../sources/hooks-opencode.js';
import { telemetryCli, writerCli, type SpoolRecord } from '../spool/frame.js';
import { rowsOf, RowStatements, type WriterRows } from '../writer/statements.js';
import type { RecordWriter } from './drain.js';
import { type Quarantined, readPairs, type SpoolKey, takeBack, writePairs } from './tables.js';

const adapters = new Map<string, HookAdapter>(
  Object.entries({
    claude: claudeHooks,
    codex: codexHooks,
    gemini: geminiHooks,
    cursor: cursorHooks,
    copilot: copilotHooks,
    opencode: opencodeHooks,
  } satisfies Record<AgentId, HookAdapter>),
);

/**
 * The events of one record of the spool.
 *
 * @returns undefined where nobody knows what it is: another CLI, another event, or no payload
 */
export function eventsOfRecord(
  record: SpoolRecord,
  pairs: ToolPairs,
): readonly AgentEvent[] | undefined {
  const { cli, payload } = record;
  if (!isObject(payload)) return undefined;
  return adapters.get(cli)?.({ record, payload, pairs });
}

/** These give every tool call an id. */
const withIds: ReadonlySet<string> = new Set(['claude', 'opencode', telemetryCli, writerCli]);

/** Events are made ready for so long (ms) without hearing the server, which is at the batch before. */
const deafMs = 0.5;

type Ready = { pairs: ToolPairs; converted: Converted; toRecord: ToRecord };

/** Turns the records of the spool into events, by the adapter of their CLI, and has these recorded. */
export function recordWriter(database: Database, recorder: Recorder): RecordWriter {
  const target = { database, recorder };
  const ready = new WeakMap<readonly SpoolRecord[], Promise<Ready>>();
  /** Points were put aside while the role might not write them: once it may, they come with the next ones. */
  let mayBeAside = true;
  /** Traces of which spans are being written. */
  let kept: Promise<ReadonlySet<string>> = Promise.resolve(new Set());
  const make = async (
    records: readonly SpoolRecord[],
    pairs: ToolPairs,
    beside?: { kept: ReadonlySet<string>; breathe: () => Promise<void> },
  ): Promise<Ready> => {
    const converted = convert(records, pairs);
    await beside?.breathe();
    const { events, spans } = converted;
    const told = { events, spans };
    const toRecord = await prepareWithSpans(target, told, beside?.kept, beside?.breathe);
    return { pairs, converted, toRecord };
  };
  const makeNow = async (records: readonly SpoolRecord[], key: SpoolKey) =>
    make(
      records,
      records.some(needsPairs)
        ? await database.transaction({ readOnly: true }, (tx) => readPairs(tx, key))
        : new ToolPairs(),
    );
  const prepare = async (records: readonly SpoolRecord[]) => {
    // Which calls of tools are open is known when the batch before is written.
    if (records.some(needsPairs)) return;
    const beside = { kept: await kept, breathe: breather(deafMs) };
    ready.set(records, Promise.resolve(await make(records, new ToolPairs(), beside)));
  };
  return {
    // The embedded engine does one thing after the other.
    ...(database.capabilities.embedded ? {} : { prepare }),
    async write(records, key, commit) {
      const made = ready.get(records) ?? makeNow(records, key);
      ready.delete(records);
      kept = made.then(({ toRecord }) => toRecord.batch.traces).catch(() => new Set());
      const { pairs, converted, toRecord } = await made;
      const { rows, unknown, failed, figures } = converted;
      let isMore = mayBeAside;
      await recordPrepared(target, toRecord, async (tx) => {
        // A role that may write all but them goes on with all but them.
        const problem = figures.length > 0 ? await figuresProblem(tx) : undefined;
        const aside = problem === undefined ? [] : figures.map(({ record }) => record);
        const back =
          figures.length > 0 && problem === undefined && mayBeAside
            ? await takeBack(tx, key, withoutPrivilege)
            : [];
        isMore = back.length > 0 || problem !== undefined;
        await commit(tx, {
          unknown,
          back: back.length,
          failed: [...failed, ...aside.map((record) => ({ record, error: problem ?? '' }))],
        });
        if (aside.length === 0) {
          const { schema } = database.capabilities;
          await keepFigures(tx, schema, [
            ...figures.map(({ figure }) => figure),
            ...back.flatMap((one) => toldBy(one).figure ?? []),
          ]);
        }
        if (rows.size > 0) await (await RowStatements.read(tx)).writeAll(tx, rows);
        if (pairs.isChanged) await writePairs(tx, key, pairs);
      });
      if (figures.length > 0) mayBeAside = isMore;
    },
  };
}

const needsPairs = ({ cli }: SpoolRecord): boolean => !withIds.has(cli);

type Converted = ReturnType<typeof convert>;

function convert(records: readonly SpoolRecord[], pairs: ToolPairs) {
  const events: AgentEvent[] = [];
  const spans: TelemetrySpan[] = [];
  const figures: { record: SpoolRecord; figure: Figure }[] = [];
  const rows: WriterRows = new Map();
  const unknown: SpoolRecord[] = [];
  const failed: Quarantined[] = [];
  for (const record of records) {
    try {
      if (record.cli === writerCli) {
        rowsOf(record, rows);
        continue;
      }
      const told = record.cli === telemetryCli ? toldBy(record) : undefined;
      const found = told === undefined ? eventsOfRecord(record, pairs) : told.events;
      if (told?.span !== undefined) spans.push(told.span);
      else if (told?.figure !== undefined) figures.push({ record, figure: told.figure });
      else if (found === undefined) unknown.push(record);
      if (found !== undefined) events.push(...found);
    } catch (error) {
      failed.push({ record, error: error instanceof Error ? error.message : String(error) });
    }
  }
  return { events, spans, figures, rows, unknown, failed };
}
