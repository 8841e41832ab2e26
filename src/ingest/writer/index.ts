import { createTracer as create } from './tracer.js';
import type { CreateTracer } from './types.js';

export type * from './types.js';

/**
 * Makes a writer for a service: `import { createTracer } from 'trace-console/writer'`. It connects when there is
 * something to write, and never throws.
 */
export const createTracer: CreateTracer = create;
