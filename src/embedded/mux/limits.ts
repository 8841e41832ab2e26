import { noticeResponse, type Report } from '../wire.js';

/** The multiplexer's limits; times in milliseconds. */
export type Limits = {
  /** A statement without a statement_timeout of its own. */
  statementMs: number;
  /** A client with a transaction open that does nothing while others wait for the engine. */
  idleInTransactionContendedMs: number;
  /** The same while nobody waits. */
  idleInTransactionMs: number;
  /** A client that does not read its answer while the engine waits to write it. */
  unreadAnswerMs: number;
  /** A statement whose client has gone, while others wait. */
  abandonedMs: number;
  /** Background work that found the engine busy is done between two clients after this. */
  backgroundWaitMs: number;
  clients: number;
};

export const defaultLimits: Limits = {
  statementMs: 600_000,
  idleInTransactionContendedMs: 10_000,
  idleInTransactionMs: 300_000,
  unreadAnswerMs: 30_000,
  abandonedMs: 30_000,
  backgroundWaitMs: 60_000,
  clients: 1_000,
};

export const cancelReport: Report = {
  severity: 'ERROR',
  code: '57014',
  message: 'canceling statement due to user request (the embedded engine was restarted)',
};

export const idleTimeoutWarning = noticeResponse({
  severity: 'WARNING',
  code: '01000',
  message: 'idle time-outs have no effect on the embedded database, which keeps its own',
});

export const stopReport: Report = {
  severity: 'FATAL',
  code: '57P01',
  message: 'terminating connection due to administrator command: the embedded database stops',
};

export const idleReport: Report = {
  severity: 'FATAL',
  code: '25P03',
  message: 'terminating connection due to idle-in-transaction timeout of the embedded database',
};
