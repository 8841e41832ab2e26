import { frame, readCString } from './frames.js';

/** The parts of a Parse message that the multiplexer changes. */
export type ParseMessage = { statement: string; sql: Buffer; rest: Buffer };

const latin1 = (bytes: Buffer): string => bytes.toString('latin1');
const named = (name: string): Buffer => Buffer.from(`${name}\0`, 'latin1');

export function readParse(bytes: Buffer): ParseMessage {
  const statement = readCString(bytes, 5);
  const sql = readCString(bytes, statement.end);
  return { statement: latin1(statement.raw), sql: sql.raw, rest: bytes.subarray(sql.end) };
}

export function writeParse(message: ParseMessage): Buffer {
  return frame('P', named(message.statement), message.sql, Buffer.from([0]), message.rest);
}

/** The statement a Bind message uses, and the same message with another one. */
export function readBind(bytes: Buffer): { portal: Buffer; statement: string; rest: Buffer } {
  const portal = readCString(bytes, 5);
  const statement = readCString(bytes, portal.end);
  return {
    portal: portal.raw,
    statement: latin1(statement.raw),
    rest: bytes.subarray(statement.end),
  };
}

export function writeBind(message: { portal: Buffer; statement: string; rest: Buffer }): Buffer {
  return frame('B', message.portal, Buffer.from([0]), named(message.statement), message.rest);
}

/** A Describe or Close message: of a statement (S) or of a portal (P). */
export function readTarget(bytes: Buffer): { kind: string; name: string } {
  const kind = String.fromCharCode(bytes[5] ?? 0);
  return { kind, name: latin1(readCString(bytes, 6).raw) };
}

export function writeTarget(type: 'D' | 'C', name: string): Buffer {
  return frame(type, Buffer.from('S'), named(name));
}

/** The SQL of a simple query message. */
export function readQuery(bytes: Buffer): Buffer {
  return readCString(bytes, 5).raw;
}

export function writeQuery(sql: Buffer): Buffer {
  return frame('Q', sql, Buffer.from([0]));
}

/** The columns of a text DataRow; null where the row has null. */
export function readDataRow(bytes: Buffer): (string | null)[] {
  const columns: (string | null)[] = [];
  const count = bytes.readInt16BE(5);
  let offset = 7;
  for (let index = 0; index < count; index += 1) {
    const length = bytes.readInt32BE(offset);
    offset += 4;
    if (length < 0) columns.push(null);
    else {
      columns.push(bytes.toString('utf8', offset, offset + length));
      offset += length;
    }
  }
  return columns;
}

/** NotificationResponse: its channel, and the same message from another process id. */
export function readNotification(bytes: Buffer): { channel: string } {
  return { channel: readCString(bytes, 9).raw.toString('utf8') };
}

export function notificationFrom(bytes: Buffer, processId: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeInt32BE(processId, 5);
  return copy;
}

/** Fields of an ErrorResponse or NoticeResponse by their letter (C is the SQLSTATE). */
export function readReport(bytes: Buffer): Map<string, string> {
  const fields = new Map<string, string>();
  let offset = 5;
  while (offset < bytes.length && bytes[offset] !== 0) {
    const value = readCString(bytes, offset + 1);
    fields.set(String.fromCharCode(bytes[offset] ?? 0), value.raw.toString('utf8'));
    offset = value.end;
  }
  return fields;
}
