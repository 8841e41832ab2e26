import { join } from 'node:path';
import type { ErrorCode } from '../../../src/db/errors.js';
import type { ActionName, InputOf } from '../../../src/maintenance/registry.js';

/** Where an action may have to be refused. */
export const places = ['read-only', 'no-owner', 'filtered', 'standby', 'pooler'] as const;

export type Place = (typeof places)[number];

export type Expectation<Name extends ActionName> = {
  /** It has something to do in the database of `something-to-do.ts`. */
  input: InputOf<Name>;
  /**
   * The code of each refusal; `runs`: it may run there. `--read-only` and a standby refuse everything that
   * changes something, so they have no exception.
   */
  refused: Record<'no-owner' | 'filtered' | 'pooler', ErrorCode | 'runs'>;
  /** It only looks at what another action has begun, so that there it finds nothing to do. */
  idle?: true;
};

/**
 * What each action must refuse, whatever its file says. `no-owner`: a role that may read and write the
 * tables, but neither owns them nor may execute the functions. `filtered`: that role with EXECUTE, and policies that
 * hide rows from it. A new action does not compile without its line here.
 */
export const expectations: { [Name in ActionName]: Expectation<Name> } = {
  reindex: {
    input: { indexes: ['idx_execution_traces_root'] },
    refused: {
      'no-owner': 'privilege_missing',
      filtered: 'privilege_missing',
      pooler: 'pooled_connection',
    },
  },
  'clean-up': {
    input: {},
    refused: {
      'no-owner': 'privilege_missing',
      filtered: 'privilege_missing',
      pooler: 'pooled_connection',
    },
  },
  'follow-build': {
    input: { index: 'idx_execution_traces_root' },
    refused: {
      'no-owner': 'privilege_missing',
      filtered: 'privilege_missing',
      pooler: 'pooled_connection',
    },
    idle: true,
  },
  archive: {
    input: { olderThan: '90 days' },
    refused: { 'no-owner': 'privilege_missing', filtered: 'row_security', pooler: 'runs' },
  },
  restore: {
    input: { since: '2000-01-01T00:00:00.000Z' },
    refused: { 'no-owner': 'runs', filtered: 'row_security', pooler: 'runs' },
  },
  purge: {
    input: { olderThan: '150 days' },
    refused: { 'no-owner': 'runs', filtered: 'row_security', pooler: 'runs' },
  },
  import: {
    input: { file: join(import.meta.dirname, 'archived-tree.jsonl') },
    refused: { 'no-owner': 'runs', filtered: 'row_security', pooler: 'runs' },
  },
  'import-sessions': {
    input: { paths: [join(import.meta.dirname, 'agent-session.jsonl')] },
    refused: { 'no-owner': 'privilege_missing', filtered: 'row_security', pooler: 'runs' },
  },
  maintain: {
    input: { anyTime: true },
    refused: { 'no-owner': 'privilege_missing', filtered: 'privilege_missing', pooler: 'runs' },
  },
  'set-policy': {
    input: { archiveAfter: '30 days' },
    refused: { 'no-owner': 'privilege_missing', filtered: 'privilege_missing', pooler: 'runs' },
  },
  'clear-policy': {
    input: {},
    refused: { 'no-owner': 'privilege_missing', filtered: 'privilege_missing', pooler: 'runs' },
  },
  'close-stuck': {
    input: { olderThan: '1 day' },
    refused: { 'no-owner': 'runs', filtered: 'row_security', pooler: 'runs' },
  },
  'cancel-query': {
    input: { backends: [{ pid: 1, startedAt: '2026-01-01T00:00:00.000Z' }] },
    refused: { 'no-owner': 'runs', filtered: 'runs', pooler: 'runs' },
    idle: true,
  },
  'terminate-backend': {
    input: { backends: [{ pid: 1, startedAt: '2026-01-01T00:00:00.000Z' }] },
    refused: { 'no-owner': 'runs', filtered: 'runs', pooler: 'runs' },
    idle: true,
  },
  learn: {
    input: {},
    refused: { 'no-owner': 'privilege_missing', filtered: 'row_security', pooler: 'runs' },
  },
  'merge-patterns': {
    input: {},
    refused: { 'no-owner': 'runs', filtered: 'row_security', pooler: 'runs' },
  },
  prune: {
    input: {},
    refused: { 'no-owner': 'privilege_missing', filtered: 'row_security', pooler: 'runs' },
  },
  analyze: {
    input: { tables: ['execution_traces'] },
    refused: { 'no-owner': 'privilege_missing', filtered: 'privilege_missing', pooler: 'runs' },
  },
  vacuum: {
    input: { tables: ['execution_traces'] },
    refused: {
      'no-owner': 'privilege_missing',
      filtered: 'privilege_missing',
      pooler: 'pooled_connection',
    },
  },
  materialize: {
    input: { views: ['error_analysis'] },
    refused: { 'no-owner': 'privilege_missing', filtered: 'privilege_missing', pooler: 'runs' },
  },
  'refresh-views': {
    input: {},
    refused: { 'no-owner': 'privilege_missing', filtered: 'privilege_missing', pooler: 'runs' },
  },
  'drop-materialized': {
    input: {},
    refused: { 'no-owner': 'privilege_missing', filtered: 'privilege_missing', pooler: 'runs' },
  },
  schedule: {
    input: {},
    refused: { 'no-owner': 'privilege_missing', filtered: 'privilege_missing', pooler: 'runs' },
  },
  unschedule: {
    input: {},
    refused: { 'no-owner': 'privilege_missing', filtered: 'privilege_missing', pooler: 'runs' },
  },
};
