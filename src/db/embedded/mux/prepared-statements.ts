import type { StatementFacts } from '../sql/statement-facts.js';

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
