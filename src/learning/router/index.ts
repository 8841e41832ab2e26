import { openRouter as open } from './router.js';
import type { OpenRouter } from './types.js';

export type * from './types.js';

/**
 * Opens a router on a database: `import { openRouter } from 'trace-console/router'`. To be closed by its `close()`.
 */
export const openRouter: OpenRouter = open;
