import { stripVTControlCharacters } from 'node:util';
import type { SerializedError, TestModule } from 'vitest/node';

const maxLines = 30;
const maxChars = 2000;

/** What says where and why: the name in a line that begins with "failed: ", then the errors, each line with two spaces. */
function told(name: string, errors: readonly { message?: string; stack?: string }[]): string[] {
  const text = errors
    .map(({ message, stack }) => {
      const at = stack?.split('\n').find((line) => /\.tsx?:\d+/.test(line));
      return [message ?? 'no message', ...(at === undefined ? [] : [at.trim()])].join('\n');
    })
    .join('\n');
  const lines = stripVTControlCharacters(text).slice(0, maxChars).split('\n').slice(0, maxLines);
  return [`failed: ${name}`, ...lines.map((line) => `  ${line}`)];
}

/** Every failure of a run, of tests and of what is outside tests, in the order of the files. */
export function failureLines(
  modules: readonly TestModule[],
  unhandledErrors: readonly SerializedError[],
): string[] {
  const ofModules = modules.flatMap((module) => [
    ...(module.errors().length > 0 ? told(module.relativeModuleId, module.errors()) : []),
    ...[...module.children.allSuites()]
      .filter((suite) => suite.errors().length > 0)
      .flatMap((suite) => told(`${module.relativeModuleId} > ${suite.fullName}`, suite.errors())),
    ...[...module.children.allTests()]
      .filter((test) => test.result().state === 'failed')
      .flatMap((test) =>
        told(`${module.relativeModuleId} > ${test.fullName}`, test.result().errors ?? []),
      ),
  ]);
  return [...ofModules, ...unhandledErrors.flatMap((error) => told('outside of tests', [error]))];
}
