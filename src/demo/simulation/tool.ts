import type { Random } from '../random.js';
import type { HookRow } from '../rows.js';
import { toolTimes } from '../vocabulary/hooks.js';
import { serviceNamed, services, type Service } from '../vocabulary/services.js';
import { callService } from './call.js';
import { runHooks, type ToolUse } from './hook.js';
import { sleep, type Process } from './scheduler.js';
import type { Run, Trouble } from './tree.js';

export type ToolResult = {
  trouble: Trouble | null;
  /** A quality hook wants somebody to look at what was written. */
  needsReview: boolean;
};

/** One use of a tool with the hooks before and after it. */
export function* runTool(run: Run): Process<ToolResult> {
  const { random } = run.tree;
  const tool = chooseTool(run);
  const before = yield* runHooks(run, 'PreToolUse', tool);
  if (before.some(({ decision }) => decision === 'deny')) {
    const message = `blocked by policy-guard: ${tool.name} outside of the project`;
    return { trouble: { errorType: 'PolicyViolation', message }, needsReview: false };
  }
  const trouble = yield* work(run, tool);
  const after = yield* runHooks(run, trouble ? 'PostToolUseFailure' : 'PostToolUse', tool);
  if (random.chance(0.01)) yield* runHooks(run, 'PreCompact');
  return { trouble, needsReview: after.some(wantsReview) };
}

function chooseTool(run: Run): ToolUse {
  const { random } = run.tree;
  const name = random.pick(run.agent.tools);
  const takesFile = ['Read', 'Edit', 'Write', 'Grep'].includes(name);
  return {
    name,
    id: `toolu_${random.token(20)}`,
    file: takesFile ? random.pick(run.tree.visit.project.files) : null,
  };
}

function* work(run: Run, tool: ToolUse): Process<Trouble | null> {
  const { random } = run.tree;
  const remote = remoteOf(tool.name, random);
  if (remote) return yield* callService(run, remote);
  const { medianMs, sigma } = toolTimes[tool.name] ?? { medianMs: 120, sigma: 0.8 };
  yield sleep(random.logNormal(medianMs, sigma));
  if (!random.chance(tool.name === 'Bash' ? 0.07 : 0.015)) return null;
  const message = `command exited with code ${random.pick([1, 1, 2, 127, 137])}`;
  return { errorType: 'ToolExecutionError', message: `${tool.name}: ${message}` };
}

/** Tools that reach out are calls to a service. */
function remoteOf(tool: string, random: Random): Service | null {
  if (tool.startsWith('mcp__github')) return serviceNamed('github-api');
  if (tool === 'WebFetch') return random.pick([services.github, services.registry]);
  return null;
}

function wantsReview({ quality_results: quality }: HookRow): boolean {
  return quality?.verdict === 'needs review';
}
