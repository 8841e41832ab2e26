import type { ColonCommand, Command } from '../context.js';
import { actionCommands } from './actions.js';
import { alerts } from './alerts.js';
import { backInOverview, openRow } from './open.js';
import { copy, exportRows } from '../views/export.js';
import { colonConnect, connections } from '../views/connections.js';
import { fleet } from '../views/fleet.js';
import { help } from '../views/help.js';
import { palette } from '../views/palette.js';
import { paneList } from '../views/pane-list.js';
import { quit } from '../views/quit.js';
import { colonFilter, colonFollow, filter } from './filter.js';
import {
  colonGroup,
  colonPane,
  colonShow,
  colonTime,
  focusNext,
  focusPane,
  focusPrevious,
  group,
  zoom,
} from './panes.js';
import {
  colonAgent,
  colonSearch,
  colonSession,
  colonPrompts,
  colonStuck,
  colonTrace,
  colonTraces,
  listStuck,
} from './lookup.js';
import { colonAt, colonCompare, moments } from './moment.js';
import {
  moves,
  columnsLeft,
  columnsRight,
  mark,
  colonSort,
  reverse,
  sort,
  sortBy,
} from './rows.js';
import {
  colonBeside,
  colonEvery,
  colonWindow,
  compare,
  exact,
  faster,
  longerWindow,
  pause,
  refresh,
  shorterWindow,
  slower,
} from './timing.js';
import { log, sql } from './statements.js';
import { terminalCommands } from './kinds.js';

/**
 * Every command of the overview, in the order of help and key bar. Adding one is adding its file and a
 * line here; the keymap, help, the palette and the config's `[keys]` are made of this list.
 */
export const overviewCommands: readonly Command[] = [
  focusPane,
  focusNext,
  focusPrevious,
  paneList,
  filter,
  palette,
  mark,
  columnsRight,
  columnsLeft,
  ...moves,
  openRow,
  copy,
  exportRows,
  backInOverview,
  zoom,
  sort,
  sortBy,
  reverse,
  group,
  longerWindow,
  shorterWindow,
  compare,
  pause,
  faster,
  slower,
  refresh,
  exact,
  ...actionCommands,
  listStuck,
  alerts,
  ...moments,
  sql,
  log,
  connections,
  fleet,
  help,
  quit,
  ...terminalCommands,
];

/** What is typed behind `:` with an argument, besides the panes and the commands above. */
export const colonCommands: readonly ColonCommand[] = [
  colonWindow,
  colonAt,
  colonCompare,
  colonEvery,
  colonPane,
  colonSort,
  colonGroup,
  colonShow,
  colonBeside,
  colonTrace,
  colonTraces,
  colonStuck,
  colonSearch,
  colonSession,
  colonAgent,
  colonPrompts,
  colonFollow,
  colonConnect,
  colonTime,
  colonFilter,
];
