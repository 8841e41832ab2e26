import { closeStuckCommand, stuckList } from '../../maintenance/close-stuck.js';
import { traceOpening } from '../../panes/trace/trace-opening.js';
import { promptsOpening } from '../../panes/trace/prompts-listed.js';
import {
  stuckTracesOpening,
  traceOfPrefixOpening,
  tracesOpening,
} from '../../panes/trace/traces-listed.js';
import { digitsOf, isIdStart, sessionDigits } from '../../panes/reading/names.js';
import { promptGroupings } from '../../panes/trace/traces-query.js';
import { formatSpan } from '../../core/format/time.js';
import { defaultStuckAfterMs } from '../../panes/reading/windows.js';
import type { ColonCommand, Command } from '../context.js';
import { asksDatabase } from './kinds.js';
import { strings } from '../strings.js';

export const colonTrace: ColonCommand = {
  name: 'trace',
  needsDatabase: true,
  title: 'open the trace whose correlation id begins so',
  argument: 'ID',
  run(context, argument) {
    const digits = digitsOf(argument);
    if (!isIdStart(argument)) {
      context.say(strings.idHasDigits, 'warning');
      return;
    }
    // An archived trace is found by its whole id.
    const isWhole = digits.length === 32;
    context.drilldowns.open(isWhole ? traceOpening(digits) : traceOfPrefixOpening(digits));
  },
};

export const colonTraces: ColonCommand = {
  name: 'traces',
  needsDatabase: true,
  title: 'the traces of the window that match a filter: status:failed agent:X hook:Y took>2s',
  argument: 'FILTER',
  run: (context, text) =>
    context.drilldowns.open(tracesOpening('Traces', { by: 'all' }, { filter: text })),
};

export const colonStuck: ColonCommand = {
  name: stuckList,
  needsDatabase: true,
  title: `the traces that are in progress for over ${formatSpan(defaultStuckAfterMs)}; ${closeStuckCommand.id} closes them`,
  values: () => [''],
  run: (context) => context.drilldowns.open(stuckTracesOpening),
};

/** As {@link colonStuck}, by a key. */
export const listStuck: Command = asksDatabase({
  id: 'list-stuck',
  keys: ['K'],
  title: `list the traces that are stuck in progress; :${closeStuckCommand.id} there closes them`,
  run: (context) => context.drilldowns.open(stuckTracesOpening),
});

export const colonSearch: ColonCommand = {
  name: 'search',
  needsDatabase: true,
  title: 'traces of the window with these words in their prompt',
  argument: 'WORDS',
  run(context, text) {
    if (text.length < 2) context.say('Give at least two letters to search for', 'warning');
    else context.drilldowns.open(tracesOpening(`Prompts with ${text}`, { by: 'prompt', text }));
  },
};

export const colonPrompts: ColonCommand = {
  name: 'prompts',
  needsDatabase: true,
  title:
    'which prompts lead to failure: groups of similar ones, or by session, intent, project or agent',
  argument: 'similar, session, intent, project, agent',
  values: () => promptGroupings,
  run(context, text) {
    const grouping = promptGroupings.find((each) => each === (text || 'similar'));
    if (grouping) context.drilldowns.open(promptsOpening(grouping));
    else context.say(`Prompts are grouped by ${promptGroupings.join(', ')}`, 'warning');
  },
};

export const colonSession: ColonCommand = {
  name: 'session',
  needsDatabase: true,
  title: 'the traces of a session: its id, the beginning of it, or its name',
  argument: 'ID',
  names: ['session'],
  run(context, argument) {
    if (argument === '') context.say(strings.idHasDigits, 'warning');
    else {
      const of = { by: 'session', digits: sessionDigits(argument) } as const;
      context.drilldowns.open(tracesOpening(`Session ${argument}`, of));
    }
  },
};

export const colonAgent: ColonCommand = {
  name: 'agent',
  needsDatabase: true,
  title: 'the traces of the window that were given to an agent',
  argument: 'NAME',
  names: ['agent'],
  run(context, text) {
    const agent = context.names.meant('agent', text);
    if (text === '') context.say('Give the name of an agent', 'warning');
    else if (typeof agent !== 'string') context.say(agent.unknown, 'warning');
    else context.drilldowns.open(tracesOpening(`Traces of ${agent}`, { by: 'agent', agent }));
  },
};
