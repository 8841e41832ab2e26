import { relative } from 'node:path';
import { afterAll, beforeEach, expect } from 'vitest';
import { reasonNotOnEmbedded } from './embedded-suite.js';
import { endAll } from './end-of-file.js';
import { testEngine } from './engine.js';

// Registered before the test file's own hooks and therefore run after them.
afterAll(endAll);

if (testEngine === 'embedded') {
  beforeEach((context) => {
    const { testPath = '', currentTestName = '' } = expect.getState();
    const reason = reasonNotOnEmbedded(relative(process.cwd(), testPath), currentTestName);
    if (reason !== undefined) context.skip(reason);
  });
}
