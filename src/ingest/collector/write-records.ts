import { isObject } from '../../core/values.js';
import type { Database } from '../../db/database.js';
import type { AgentEvent } from '../events.js';
import type { AgentId } from '../install/agent.js';
import type { TelemetrySpan } from '../otlp/decode.js';
import { telemetryCli, toldBy } from '../otlp/records.js';
import { recordWithSpans } from '../otlp/staging.js';
import type { Recorder } from '../recorder.js';
import { type HookAdapter, ToolPairs } from '../sources/hook-payload.js';
import { claudeHooks } from '../sources/hooks-claude.js';
import { codexHooks } from '../sources/hooks-codex.js';
import { copilotHooks } from '../sources/hooks-copilot.js';
import { cursorHooks } from '../sources/hooks-cursor.js';
import { geminiHooks } from '../sources/hooks-gemini.js';
import { opencodeHooks } from '../sources/hooks-opencode.js';
import type { SpoolRecord } from '../spool/frame.js';
import { rowsOf, RowStatements, writerCli, type WriterRows } from '../writer/statements.js';
import type { RecordWriter } from './drain.js';
import { type Quarantined, readPairs, writePairs } from './tables.js';

const adapters: Readonly<Record<AgentId, HookAdapter>> = {
  claude: claudeHooks,
  codex: codexHooks,
  gemini: geminiHooks,
  cursor: cursorHooks,
  copilot: copilotHooks,
  opencode: opencodeHooks,
};

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
  if (!Object.hasOwn(adapters, cli) || !isObject(payload)) return undefined;
  return adapters[cli as AgentId]({ record, payload, pairs });
}

/** These give every tool call an id. */
const withIds: ReadonlySet<string> = new Set(['claude', 'opencode', telemetryCli, writerCli]);

/** Turns the records of the spool into events, by the adapter of their CLI, and has these recorded. */
export function recordWriter(database: Database, recorder: Recorder): RecordWriter {
  return async (records, key, commit) => {
    const needsPairs = records.some(({ cli }) => !withIds.has(cli));
    const pairs = needsPairs
      ? await database.transaction({ readOnly: true }, (tx) => readPairs(tx, key))
      : new ToolPairs();
    const { events, spans, rows, unknown, failed } = convert(records, pairs);
    await recordWithSpans({ database, recorder }, { events, spans }, async (tx) => {
      await commit(tx, { unknown, failed });
      if (rows.size > 0) await (await RowStatements.read(tx)).writeAll(tx, rows);
      if (pairs.isChanged) await writePairs(tx, key, pairs);
    });
  };
}

function convert(records: readonly SpoolRecord[], pairs: ToolPairs) {
  const events: AgentEvent[] = [];
  const spans: TelemetrySpan[] = [];
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
      else if (found === undefined) unknown.push(record);
      if (found !== undefined) events.push(...found);
    } catch (error) {
      failed.push({ record, error: error instanceof Error ? error.message : String(error) });
    }
  }
  return { events, spans, rows, unknown, failed };
}
