import type { Scope } from '../context.js';
import { fleetScope } from './fleet.js';
import { confirmScope, doneScope, runningScope, wordScope } from './action.js';
import { connectingScope, waitingScope } from './waiting.js';
import { connectionsScope } from './connections.js';
import { exportScope } from './export.js';
import { helpScope } from './help.js';
import { judgeScope } from './judge.js';
import { listScope } from './list.js';
import { overviewScope } from './overview.js';
import { paneListScope } from './pane-list.js';
import { promptScope } from './prompt.js';
import { quitScope } from './quit.js';
import { recordScope } from './record.js';
import { schemaReadScope, schemaScope } from './schema.js';
import { traceScope } from './trace.js';

/** The keys of every view, in the order of help. Adding a view with keys of its own is its file and a line here. */
export const scopes: readonly Scope[] = [
  overviewScope,
  paneListScope,
  promptScope,
  waitingScope,
  traceScope,
  judgeScope,
  listScope,
  recordScope,
  exportScope,
  helpScope,
  confirmScope,
  wordScope,
  runningScope,
  doneScope,
  quitScope,
  schemaScope,
  schemaReadScope,
  connectionsScope,
  connectingScope,
  fleetScope,
];
