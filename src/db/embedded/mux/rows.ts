import { readDataRow, readReport } from '../wire/extended.js';
import { FrameSplitter } from '../wire/frames.js';
import type { TransactionStatus } from '../wire/messages.js';

/** A statement of the multiplexer's own that the engine refused. */
export class InternalStatementFailed extends Error {
  override readonly name = 'InternalStatementFailed';
  readonly sqlState: string;

  constructor(message: string, sqlState: string) {
    super(message);
    this.sqlState = sqlState;
  }
}

/** Collects the rows of an internal statement. */
export class RowCollector {
  readonly rows: (string | null)[][] = [];
  status: TransactionStatus | undefined;
  error: InternalStatementFailed | undefined;
  readonly #splitter = new FrameSplitter(0x7fff_ffff);

  take(bytes: Buffer): void {
    this.#splitter.push(bytes);
    for (let frame = this.#splitter.next(); frame; frame = this.#splitter.next()) {
      if (frame.type === 'D') this.rows.push(readDataRow(frame.bytes));
      if (frame.type === 'Z') {
        this.status = String.fromCharCode(frame.bytes[5] ?? 0) as TransactionStatus;
      }
      if (frame.type === 'E') {
        const fields = readReport(frame.bytes);
        this.error ??= new InternalStatementFailed(
          fields.get('M') ?? 'unknown error',
          fields.get('C') ?? 'XX000',
        );
      }
    }
  }
}
