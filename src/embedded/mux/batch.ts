import { type Refusal, statementFacts, type StatementFacts } from './statement-facts.js';
import * as extended from '../wire.js';
import { copyFail, type Frame, ProtocolViolation } from '../wire.js';

/** Messages that the engine runs in one go: up to a Query, a Sync or a Flush. */
export type Batch = {
  bytes: Buffer;
  /** After `flush` the client goes on within the same implicit transaction. */
  ends: 'query' | 'sync' | 'flush';
  /** Facts of every text that this batch executes. */
  executes: StatementFacts[];
  /** A text was refused: the engine is given one it rejects, and its error is replaced by this. */
  refusal: Refusal | undefined;
  /**
   * Statements (by the engine's name) that the batch uses without preparing them; undefined where
   * the client has none of that name. Bound when the message came: in a pipeline the unnamed
   * statement may be another one by the time the batch runs.
   */
  needs: Map<string, PreparedStatement | undefined>;
  /** Statements that exist after it ran. */
  prepares: Map<string, PreparedStatement>;
  mentionsTimeout: boolean;
};

const refusedText = Buffer.from('refused by the embedded database');
const copyRefusal = copyFail('COPY FROM STDIN is not available on the embedded database');

/** Collects a client's messages into batches, with its statement names replaced. */
export class BatchBuilder {
  readonly #statements: PreparedStatements;
  #parts: Buffer[] = [];
  #batch = emptyBatch();

  constructor(statements: PreparedStatements) {
    this.#statements = statements;
  }

  /** Bytes of messages that wait for the end of their batch. */
  get pending(): number {
    return this.#parts.reduce((sum, part) => sum + part.length, 0);
  }

  /** Adds a message; the finished batch when it ends one. */
  add({ type, bytes }: Frame): Batch | undefined {
    switch (type) {
      case 'Q':
        this.#addQuery(bytes);
        return this.#finish('query');
      case 'P':
        this.#addParse(bytes);
        return undefined;
      case 'B':
        this.#addBind(bytes);
        return undefined;
      case 'D':
      case 'C':
        this.#addTarget(type, bytes);
        return undefined;
      case 'E':
        // A COPY FROM STDIN would wait for ever; without one the engine ignores the message.
        this.#parts.push(bytes, copyRefusal);
        return undefined;
      case 'F':
        this.#parts.push(bytes);
        return this.#finish('query');
      case 'S':
        this.#parts.push(bytes);
        return this.#finish('sync');
      case 'H':
        return this.#parts.length === 0 ? undefined : this.#finish('flush');
      case 'd':
      case 'c':
      case 'f':
        return undefined;
      default:
        throw new ProtocolViolation(`invalid frontend message type ${type.charCodeAt(0)}`);
    }
  }

  #finish(ends: Batch['ends']): Batch {
    const batch = { ...this.#batch, bytes: Buffer.concat(this.#parts), ends };
    this.#parts = [];
    this.#batch = emptyBatch();
    return batch;
  }

  #addQuery(bytes: Buffer): void {
    const sql = extended.readQuery(bytes);
    const facts = statementFacts(sql.toString('latin1'));
    this.#batch.refusal ??= facts.refusal;
    this.#batch.executes.push(facts);
    this.#batch.mentionsTimeout ||= facts.mentionsTimeout;
    this.#batch.prepares.delete('');
    this.#statements.delete('');
    this.#parts.push(extended.writeQuery(this.#textFor(sql, facts)), copyRefusal);
  }

  #addParse(bytes: Buffer): void {
    const message = extended.readParse(bytes);
    const facts = statementFacts(message.sql.toString('latin1'));
    const refusal = facts.refusal ?? (facts.sole === undefined ? undefined : soleRefusal(facts));
    this.#batch.refusal ??= refusal;
    const statement = this.#statements.alias(message.statement);
    const sql = this.#textFor(message.sql, { ...facts, refusal });
    const parse = extended.writeParse({ ...message, statement, sql });
    this.#batch.prepares.set(statement, this.#statements.add(statement, parse, facts));
    this.#parts.push(parse);
  }

  /** The text as the engine gets it: its own statement names replaced, or one it rejects. */
  #textFor(sql: Buffer, facts: StatementFacts): Buffer {
    if (facts.refusal) return refusedText;
    if (facts.names.length === 0) return sql;
    const parts: Buffer[] = [];
    let from = 0;
    for (const { start, end, name, prepares } of facts.names) {
      const alias = this.#statements.alias(name);
      if (prepares) this.#statements.add(alias, undefined, facts);
      parts.push(sql.subarray(from, start), Buffer.from(`"${alias}"`, 'latin1'));
      from = end;
    }
    return Buffer.concat([...parts, sql.subarray(from)]);
  }

  #addBind(bytes: Buffer): void {
    const message = extended.readBind(bytes);
    const statement = this.#statements.alias(message.statement);
    this.#need(statement);
    const facts = this.#statements.get(statement)?.facts;
    if (facts) this.#batch.executes.push(facts);
    this.#batch.mentionsTimeout ||=
      (facts?.mentionsTimeout ?? false) || message.rest.includes('statement_timeout');
    this.#parts.push(extended.writeBind({ ...message, statement }));
  }

  #addTarget(type: 'D' | 'C', bytes: Buffer): void {
    const { kind, name } = extended.readTarget(bytes);
    if (kind !== 'S') {
      this.#parts.push(bytes);
      return;
    }
    const alias = this.#statements.alias(name);
    if (type === 'D') this.#need(alias);
    else {
      this.#batch.prepares.delete(alias);
      this.#statements.delete(alias);
    }
    this.#parts.push(extended.writeTarget(type, alias));
  }

  #need(statement: string): void {
    if (this.#batch.prepares.has(statement) || this.#batch.needs.has(statement)) return;
    this.#batch.needs.set(statement, this.#statements.get(statement));
  }
}

function emptyBatch(): Batch {
  return {
    bytes: Buffer.alloc(0),
    ends: 'sync',
    executes: [],
    refusal: undefined,
    needs: new Map(),
    prepares: new Map(),
    mentionsTimeout: false,
  };
}

function soleRefusal(facts: StatementFacts): Refusal {
  return {
    message: `${facts.sole ?? 'this statement'} is not available here on the embedded database`,
    hint: 'Send it as a simple query: all clients share one engine session.',
  };
}

export type PreparedStatement = {
  /** The Parse message with the engine's name, to prepare it again where the engine lost it. */
  readonly parse: Buffer | undefined;
  readonly facts: StatementFacts;
  /** The engine (counted by its starts) that has this statement; 0 before any has it. */
  engine: number;
};

/** Parse messages above this, in bytes, are not kept: such statements are lost with the engine. */
const largestKept = 1024 * 1024;

/**
 * The prepared statements of one client under names of its own: all clients share the engine's one
 * session, in which the statement "s1" of two clients would be the same.
 */
export class PreparedStatements {
  readonly #prefix: string;
  readonly #aliases = new Map<string, string>();
  readonly #statements = new Map<string, PreparedStatement>();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** The engine's name of a statement; the unnamed one stays unnamed. Short, however long it was. */
  alias(name: string): string {
    if (name === '') return '';
    let alias = this.#aliases.get(name);
    if (alias === undefined) {
      alias = `${this.#prefix}${this.#aliases.size + 1}`;
      this.#aliases.set(name, alias);
    }
    return alias;
  }

  get(alias: string): PreparedStatement | undefined {
    return this.#statements.get(alias);
  }

  add(alias: string, parse: Buffer | undefined, facts: StatementFacts): PreparedStatement {
    const kept = parse !== undefined && parse.length <= largestKept ? parse : undefined;
    const statement = { parse: kept, facts, engine: 0 };
    this.#statements.set(alias, statement);
    return statement;
  }

  delete(alias: string): void {
    this.#statements.delete(alias);
  }

  /** Names the engine knows, for closing them all. */
  get named(): string[] {
    return [...this.#statements.keys()].filter((alias) => alias !== '');
  }

  clear(): void {
    this.#statements.clear();
  }
}
