import type { Environment } from '../../core/values.js';
import { redact, redactedJson } from '../redact.js';
import { encodeFrame, encodeFrameOf, type SpoolRecord } from '../spool/frame.js';

/** The environment variables that name the trace to which a hook belongs. */
const traceVariables = [
  'TRACEPARENT',
  'ARCHON_CORRELATION_ID',
  'ARCHON_ROOT_ID',
  'ARCHON_PARENT_ID',
  'ARCHON_SESSION_ID',
  'CLAUDE_PROJECT_DIR',
  'CLAUDE_CODE_ENTRYPOINT',
] as const;

/** A larger event keeps only what identifies it. */
const mostBytes = 1024 * 1024;
const longestKept = 1_024;

/** An event as it came from a CLI. */
export type Received = {
  cli: string;
  /** Where the payload does not name it. */
  event: string | undefined;
  input: Buffer | string;
  /** Memory that the input's bytes stand in, and nobody else uses: the frame is made there where it has room. */
  around?: Buffer;
  /** Milliseconds since 1970, whole: what is finer costs the hook 5 % of its start. */
  atMs: number;
};

/** The frame of an event: what the CLI sent, without secrets and within bounds. */
export function frameOf(
  { cli, event, input, around, atMs }: Received,
  environment: Environment,
): Buffer {
  const at = `${atMs}000000`;
  const env = traceContext(environment);
  const record: SpoolRecord = {
    id: recordId(atMs),
    at,
    cli: cli.slice(0, 32),
    ...(event === undefined ? {} : { event: event.slice(0, 128) }),
    ...(env === undefined ? {} : { env }),
    bytes: Buffer.byteLength(input),
  };
  const text = input.toString();
  const source = text.startsWith('\uFEFF') ? text.slice(1) : text;
  const payload = parse(source);
  // What cannot be parsed cannot be searched for secrets: its size is all that is kept.
  if (payload === undefined) return encodeFrame({ ...record, problem: 'unreadable' });
  const clean = redactedJson(payload, source);
  // Bytes that can stay are copied, not encoded again.
  const frame = encodeFrameOf(record, clean === text ? input : clean, around);
  if (frame.length <= mostBytes) return frame;
  return encodeFrame({
    ...record,
    payload: identifyingPart(redact(payload)),
    problem: 'too_large',
  });
}

function parse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The short values at the top: ids, names, paths. */
function identifyingPart(payload: unknown): Record<string, unknown> {
  const short = Object.entries(payload as Record<string, unknown>).filter(
    ([, value]) =>
      typeof value === 'number' ||
      typeof value === 'boolean' ||
      (typeof value === 'string' && value.length <= longestKept),
  );
  return Object.fromEntries(short.slice(0, 100));
}

function traceContext(environment: Environment): Record<string, string> | undefined {
  const found: Record<string, string> = {};
  for (const name of traceVariables) {
    const value = environment[name];
    if (value) found[name] = value.slice(0, longestKept);
  }
  return Object.keys(found).length === 0 ? undefined : (redact(found) as Record<string, string>);
}

/** A UUID (version 8) of time, process and chance; crypto would cost the hook its start. */
function recordId(atMs: number): string {
  const time = atMs.toString(16).padStart(14, '0');
  const pid = (process.pid & 0xffffff).toString(16).padStart(6, '0');
  const chance = Math.floor(Math.random() * 2 ** 40)
    .toString(16)
    .padStart(10, '0');
  const hex = `${time}${pid}${chance}`;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(12, 15)}-a${hex.slice(15, 18)}-${hex.slice(18)}`;
}
