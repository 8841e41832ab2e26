import { readRuns, whoRuns } from '../../journal/run.js';
import { counted, firstOf, good, type Check } from '../check.js';

/** Of the latest runs and the last week; what crashed long ago is history. */
const latest = { runs: 50, ms: 7 * 86_400_000 };

export const crashedRuns: Check = {
  id: 'crashed-runs',
  title: 'Broken maintenance',
  why: 'A maintenance run whose console died has done a part of its work. What it had begun is whole, but the rest is still to be done.',
  async run({ tx, capabilities: { schema } }) {
    const runs = await readRuns(tx, schema, latest.runs);
    const crashed = runs.filter(
      ({ state, resumedBy, id, action, startedAt }) =>
        state === 'crashed' &&
        resumedBy === null &&
        Date.now() - startedAt.getTime() < latest.ms &&
        // The same action has been run since: it is done.
        !runs.some((next) => next.id > id && next.action === action && next.state === 'done'),
    );
    const [first] = crashed;
    if (!first) return good('Every run of the journal came to its end.');
    const lines = crashed.map(
      (run) =>
        `run ${run.id}, ${run.title}${run.subject === null ? '' : ` (${run.subject})`}, of ${whoRuns(run)}`,
    );
    return {
      severity: 'advice',
      evidence: `${counted(crashed.length, 'run')} whose console died: ${firstOf(lines, 2)}.`,
      items: lines,
      mend: 'Run it again, or leave it: the next run of the same action goes on where it ended.',
      command: `trace-console runs resume ${first.id}`,
    };
  },
};
