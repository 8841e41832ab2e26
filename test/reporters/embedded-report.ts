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
  return [
    'Not run on the embedded engine, but on a server:',
    ...notOnEmbedded.flatMap(({ reason, files }) => [
      `  ${reason}`,
      ...Object.entries(files).flatMap(([path, tests]) =>
        tests === 'all' ? [`    ${path}`] : tests.map((test) => `    ${path} > ${test}`),
      ),
    ]),
  ];
}

/** Entries of the list that name no test of these files any more. */
export function staleEntries(modules: readonly TestModule[]): string[] {
  if (testEngine !== 'embedded') return [];
  return modules.flatMap((module) => {
    const names = new Set([...module.children.allTests()].map(({ fullName }) => fullName));
    return notOnEmbedded.flatMap(({ files }) => {
      const tests = files[module.relativeModuleId] ?? [];
      if (tests === 'all') return [];
      return tests
        .filter((test) => !names.has(test))
        .map((test) => `${module.relativeModuleId} > ${test}`);
    });
  });
}
