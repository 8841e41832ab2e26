import { afterAll } from 'vitest';
import { dropAllTestDatabases } from './database.js';

// Registered before the test file's own hooks and therefore run after them.
afterAll(dropAllTestDatabases);
