import { ConsoleError } from '../../db/errors.js';
import type { DetailAccess } from '../opening.js';
import { tracesListedStatement, type ListedTraceRow } from '../statements/traces-listed.js';
import { windowValues } from '../statements/window.js';

const beginning = /^[0-9a-f]{4,31}$/i;
const mostNamed = 4;

/**
 * The correlation id of the live trace that begins with these digits, as it is read off a screen; whatever is no
 * beginning of an id comes back as it is.
 *
 * @throws ConsoleError `not_found` when none begins so, `usage` when several do
 */
export async function wholeTraceId(
  access: Pick<DetailAccess, 'shape' | 'read'>,
  text: string,
): Promise<string> {
  const digits = text.replaceAll('-', '').toLowerCase();
  if (!beginning.test(digits)) return text;
  const rows = await access.read<ListedTraceRow>(
    tracesListedStatement(access.shape, { by: 'prefix', digits }),
    [digits, mostNamed + 1, ...windowValues({ windowMs: 0 })],
  );
  const [first, second] = rows;
  if (first && !second) return first.correlation_id ?? first.id;
  if (!first) {
    throw new ConsoleError('not_found', `No trace has a correlation id that begins with ${text}.`, {
      hint: 'An archived trace is found by its whole id: trace-console archive list.',
    });
  }
  const named = rows.slice(0, mostNamed).map((row) => row.correlation_id);
  throw new ConsoleError(
    'usage',
    `Several traces have a correlation id that begins with ${text}.`,
    {
      hint: `Give more of it: ${named.join(', ')}${rows.length > mostNamed ? ', …' : ''}`,
    },
  );
}
