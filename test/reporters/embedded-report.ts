import type { TestModule } from 'vitest/node';
import { notOnEmbedded, reasonNotOnEmbedded } from '../helpers/embedded-suite.js';
import { testEngine } from '../helpers/engine.js';

/** Whether a skipped test is one of those that a run on the embedded engine leaves to the server. */
export function isServerOnly(file: string, fullName: string): boolean {
  return testEngine === 'embedded' && reasonNotOnEmbedded(file, fullName) !== undefined;
}

/** What a run on the embedded engine left out, by reason; empty on a server. */
export function leftOutLines(): string[] {
  if (testEngine !== 'embedded') return [];
  const reasons = [...new Set(notOnEmbedded.map(({ reason }) => reason))];
  return [
    'Not run on the embedded engine, but on a server:',
    ...reasons.flatMap((reason) => [
      `  ${reason}`,
      ...notOnEmbedded
        .filter((entry) => entry.reason === reason)
        .map(({ path, test }) => `    ${path}${test === undefined ? '' : ` > ${test}`}`),
    ]),
  ];
}

/** Entries of the list that name no test of these files any more. */
export function staleEntries(modules: readonly TestModule[]): string[] {
  if (testEngine !== 'embedded') return [];
  return modules.flatMap((module) => {
    const names = new Set([...module.children.allTests()].map(({ fullName }) => fullName));
    return notOnEmbedded
      .filter(({ path, test }) => path === module.relativeModuleId && test !== undefined)
      .flatMap(({ path, test = '' }) => (names.has(test) ? [] : [`${path} > ${test}`]));
  });
}
