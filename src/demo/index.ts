export { describeDemo } from './describe.js';
export { parseLength, parseStart } from './length.js';
export { defaultTraces, demoLimits, planDemo, type DemoOptions, type DemoPlan } from './options.js';
export type { DemoProgress, DemoSummary } from './progress.js';
export {
  countDemo,
  removeDemo,
  type RemovalContext,
  type RemovalProgress,
  type RemovalSummary,
} from './remove.js';
export { runDemo, type RunContext } from './run.js';
export { demoTag } from './tag.js';
