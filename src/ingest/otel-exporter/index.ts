import { createExporter as create } from './exporter.js';
import type { CreateExporter } from './types.js';

export type * from './types.js';

/**
 * Makes a span exporter that writes into the database itself, without a collector:
 * `import { createExporter } from 'trace-console/otel-exporter'`. It never throws.
 */
export const createExporter: CreateExporter = create;
