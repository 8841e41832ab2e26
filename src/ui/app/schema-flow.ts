import type { Database } from '../../db/database.js';
import { placeOf } from '../../db/connection/command-flags.js';
import { failureOf } from '../../db/errors.js';
import { applySchema, planApply } from '../../deploy/apply.js';
import { buildIndexes } from '../../deploy/build-indexes.js';
import { describePlan, isUnasked, type Plan } from '../../deploy/plan.js';
import { checkPrerequisites } from '../../deploy/prerequisites.js';
import { schemaFiles } from '../../deploy/schema-files.js';
import { doctor } from '../../panes/doctor.js';
import type { SchemaStage } from '../views/schema.js';

export type SchemaFlow = {
  /** Shows the stage; undefined: the panes may open. */
  show(stage: SchemaStage): void;
  /** Asks a question whose answer is yes or no. */
  answer(): Promise<boolean>;
};

/** What to tell the reader once the panes are open. */
export type SchemaNotice = { text: string; important: boolean };

/** Why the schema cannot be applied here, whatever the reader says; undefined when it can. */
function cannotApply(database: Database): string | undefined {
  if (database.readOnly) return 'the console is read-only';
  if (database.capabilities.standby) return 'this server is a standby';
  return undefined;
}

/**
 * The first run: applies the schema unasked where that harms nobody, else shows what would be
 * created where and asks. Resolves when the panes may open.
 */
export async function firstRun(
  database: Database,
  flow: SchemaFlow,
): Promise<SchemaNotice | undefined> {
  const plan = await planApply(database);
  if (plan.kind === 'complete') return undefined;
  if (plan.kind === 'incompatible') return incompatible(plan, database, flow);
  const reason = cannotApply(database);
  if (reason !== undefined) {
    return {
      text: `The schema is not there, and ${reason}: nothing was created.`,
      important: true,
    };
  }
  if (!isUnasked(plan, database, false)) {
    flow.show(
      stageOf(
        'ask',
        `Create the schema in ${placeOf(database)}?`,
        describePlan(plan, database, false),
      ),
    );
    if (!(await flow.answer())) {
      return {
        text: `Nothing was created. :${doctor.id} says how to do it later`,
        important: false,
      };
    }
  }
  return apply(database, plan, flow);
}

/** While the panes are open: applies what may be applied unasked, and says what else is to be done for the schema. */
export async function checkSchema(database: Database): Promise<SchemaNotice | undefined> {
  const plan = await planApply(database);
  if (plan.kind === 'incompatible') {
    return { text: `Other objects have our names: ${plan.conflicts.join('; ')}`, important: true };
  }
  if (isUnasked(plan, database, false) && cannotApply(database) === undefined) {
    await applySchema(database);
    return undefined;
  }
  if (plan.kind === 'adopt') {
    if (plan.migrations.length > 0) {
      const text = `Views and functions are of an earlier version; :${doctor.id} says how to renew them`;
      return { text, important: false };
    }
    const { missingTables, lostConsoleTables, addColumns, addIndexes, addObjects } = plan;
    const lacks = [missingTables, lostConsoleTables, addColumns, addIndexes, addObjects].flat();
    const what = lacks.length === 1 ? '1 object' : `${lacks.length} objects`;
    const text = `The schema lacks ${what}; :${doctor.id} says how to create them`;
    return { text, important: false };
  }
  return undefined;
}

async function incompatible(
  plan: Plan,
  database: Database,
  flow: SchemaFlow,
): Promise<SchemaNotice> {
  flow.show(
    stageOf('incompatible', `Nothing was created in ${placeOf(database)}`, [
      'Other objects have the same names:',
      ...plan.conflicts.map((conflict) => `  ${conflict}`),
      '',
      'They are left alone. The panes that need them say so; the others work.',
      'With --schema NAME the console makes a schema of its own.',
    ]),
  );
  await flow.answer();
  return {
    text: `${plan.conflicts.length} objects are not ours; nothing was created.`,
    important: false,
  };
}

async function apply(
  database: Database,
  plan: Plan,
  flow: SchemaFlow,
): Promise<SchemaNotice | undefined> {
  const isNew = plan.kind === 'new';
  let stage = stageOf('applying', `Creating the schema in ${placeOf(database)}`, []);
  stage = { ...stage, total: isNew ? schemaFiles.length : 0 };
  flow.show(stage);
  const onProgress = (step: { name: string; outcome: string; total: number }) => {
    stage = { ...stage, total: step.total, steps: [...stage.steps, step] };
    flow.show(stage);
  };
  try {
    checkPrerequisites(database);
    const result = await applySchema(database, { onProgress });
    const built = await buildIndexes(database, result.plan.addIndexes, onProgress);
    const failed = [...result.failed, ...built.failed];
    const [first] = failed;
    if (!first) return undefined;
    return { text: `Not created: ${first.name}: ${first.reason}`, important: true };
  } catch (error) {
    const { message, hint } = failureOf(error);
    flow.show({
      ...stage,
      phase: 'failed',
      title: 'The schema could not be created',
      lines: [message, ...(hint === undefined ? [] : [hint])],
    });
    await flow.answer();
    return { text: message, important: false };
  }
}

function stageOf(
  phase: SchemaStage['phase'],
  title: string,
  lines: readonly string[],
): SchemaStage {
  return { phase, title, lines, steps: [], total: 0 };
}
