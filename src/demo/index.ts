export { describeDemo } from './options.js';
export { parseLength, parseStart } from './options.js';
export { defaultTraces, demoLimits, planDemo, type DemoOptions, type DemoPlan } from './options.js';
export type { DemoProgress, DemoSummary } from './run.js';
export {
  countDemo,
  removeDemo,
  type RemovalContext,
  type RemovalProgress,
  type RemovalSummary,
} from './remove.js';
export { runDemo, type RunContext } from './run.js';
export { demoTag } from './options.js';
