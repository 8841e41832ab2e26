import { cString, frame, int32 } from './frames.js';

/** Transaction status of ReadyForQuery: idle, in a transaction, in a failed transaction. */
export type TransactionStatus = 'I' | 'T' | 'E';

/** What an ErrorResponse or NoticeResponse carries. */
export type Report = {
  severity: 'ERROR' | 'FATAL' | 'WARNING';
  /** SQLSTATE, five characters. */
  code: string;
  message: string;
  detail?: string;
  hint?: string;
};

function reportBody(report: Report): Buffer[] {
  const fields = [
    `S${report.severity}`,
    `V${report.severity}`,
    `C${report.code}`,
    `M${report.message}`,
    ...(report.detail === undefined ? [] : [`D${report.detail}`]),
    ...(report.hint === undefined ? [] : [`H${report.hint}`]),
  ];
  return [...fields.map(cString), Buffer.from([0])];
}

export const errorResponse = (report: Report): Buffer => frame('E', ...reportBody(report));
export const noticeResponse = (report: Report): Buffer => frame('N', ...reportBody(report));

export const readyForQuery = (status: TransactionStatus): Buffer =>
  frame('Z', Buffer.from(status, 'latin1'));

export const authenticationOk = (): Buffer => frame('R', int32(0));

export const parameterStatus = (name: string, value: string): Buffer =>
  frame('S', cString(name), cString(value));

export const backendKeyData = (processId: number, secret: number): Buffer =>
  frame('K', int32(processId), int32(secret));

export const commandComplete = (tag: string): Buffer => frame('C', cString(tag));

/** Answers a request for a newer minor protocol: only 3.0 is spoken, these options are unknown. */
export const negotiateProtocolVersion = (unknownOptions: readonly string[]): Buffer =>
  frame('v', int32(0), int32(unknownOptions.length), ...unknownOptions.map(cString));

export const simpleQuery = (sql: string): Buffer => frame('Q', cString(sql));

export const sync = (): Buffer => frame('S');

/**
 * The frontend's CopyFail. The engine ignores it outside COPY FROM STDIN; inside it ends the copy
 * with an error instead of waiting for data that a single-threaded engine can never receive.
 */
export const copyFail = (reason: string): Buffer => frame('f', cString(reason));

export const closeStatement = (name: string): Buffer => frame('C', Buffer.from('S'), cString(name));
