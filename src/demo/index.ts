/** The door of the demo: nothing else of this folder is imported from outside. */

export {
  defaultTraces,
  demoLimits,
  demoTag,
  describeDemo,
  offersDemo,
  parseLength,
  parseStart,
  planDemo,
  type DemoOptions,
  type DemoPlan,
} from './options.js';
export type { RemovalProgress, RemovalSummary } from './remove.js';
export type { DemoProgress, DemoSummary } from './run.js';

/** What writes and removes rows. Loaded where that is done: the console asks only whether there are any. */
export const loadDemo = async () => ({
  ...(await import('./run.js')),
  ...(await import('./remove.js')),
});
