import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that mostly wait for programs, for minutes together; the others are many, and short. */
const long = /^test\/(faults|e2e|embedded|cli|demo|helpers\/interrupt)/;

/** Begins long files first, so that a run does not end with one worker that still waits for one of them. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = ({ moduleId }: TestSpecification) =>
      long.test(relative(process.cwd(), moduleId));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}
