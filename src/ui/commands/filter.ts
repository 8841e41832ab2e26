import { parseFilter } from '../../panes/contract/filter.js';
import { panes } from '../../panes/registry.js';
import type { ColonCommand, Command } from '../context.js';
import { FilterPrompt } from '../views/prompt.js';
import { needsLive } from './kinds.js';
import { isIdStart } from '../../panes/reading/names.js';

export const filter: Command = {
  id: 'filter',
  keys: ['/'],
  title: 'filter the rows: words, !not, column:word, dur>2s; Esc clears it',
  bar: 'filter',
  priority: 3,
  run: (context) => context.push(new FilterPrompt(context.front.filtered?.(context)?.filter ?? '')),
  unavailable: (context) => (context.front.openedBy ? undefined : needsLive(context)),
};

export const colonFilter: ColonCommand = {
  name: 'filter',
  title: 'show only these rows of this pane',
  ofPane: true,
  argument: 'WORDS',
  run(context, argument) {
    const parsed = parseFilter(argument, context.focus.pane);
    if ('error' in parsed) context.say(parsed.error, 'warning');
    else context.focus.filter(argument);
  },
};

const tail = panes.find(({ isTail }) => isTail);

/** The fields that a name may belong to, the likeliest first. */
const followed = ['agent', 'project', 'hook', 'tool', 'service', 'user'] as const;

/** The tail of a session, an agent or whatever else has a name, from any pane. */
export const colonFollow: ColonCommand = {
  name: 'follow',
  title: `in ${tail?.title.toLowerCase() ?? 'the tail'}: only what belongs to this session, agent, project, hook or tool`,
  argument: 'SESSION or NAME',
  names: [...followed, 'session'],
  run(context, argument) {
    if (argument === '') {
      context.say('Give a session, the beginning of its id, or a name', 'warning');
    } else if (tail) {
      const { names } = context;
      const wanted = argument.toLowerCase();
      const kind = followed.find((each) =>
        names.of(each).some((name) => name.toLowerCase() === wanted),
      );
      const field = kind ?? (isIdStart(argument) ? 'session' : 'agent');
      const meant = field === 'agent' ? names.meant('agent', argument) : argument;
      if (typeof meant !== 'string') {
        context.say(meant.unknown, 'warning');
        return;
      }
      context.focus.goTo(tail.id);
      context.focus.change({ filter: `${field}:"${meant.replaceAll('"', '')}"`, follow: true });
    }
  },
};
