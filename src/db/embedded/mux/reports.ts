import { noticeResponse, type Report } from '../wire/messages.js';

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
