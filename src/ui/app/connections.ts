import type { Database } from '../../db/database.js';
import { ConsoleError } from '../../db/errors.js';
import { nearestWord } from '../../shared/nearest.js';
import type { ConnectionChoice } from '../connection-choice.js';
import type { ConnectingView } from '../model/views.js';
import type { ConsoleApp } from './console-app.js';

/** Shows a database that was opened: from its schema to its panes. */
export type ShowDatabase = (database: Database, choice: ConnectionChoice) => Promise<void>;

/**
 * The databases that the console can be on, and the one that it is on. The old one is kept until the new
 * one answers: who cannot get there is still where he was.
 */
export class Connections {
  readonly choices: readonly ConnectionChoice[];
  readonly #app: ConsoleApp;
  readonly #show: ShowDatabase;
  #current: ConnectionChoice;
  #attempt = 0;

  constructor(
    app: ConsoleApp,
    choices: readonly [ConnectionChoice, ...ConnectionChoice[]],
    show: ShowDatabase,
  ) {
    this.#app = app;
    this.choices = choices;
    [this.#current] = choices;
    this.#show = show;
  }

  get current(): ConnectionChoice {
    return this.#current;
  }

  /** The first database, at the start. */
  async begin(): Promise<void> {
    const { current } = this;
    const database = await current.open((line) => this.#app.update({ opening: line }));
    await this.#show(database, current);
  }

  /** Goes to the database of a name, or says why not. */
  goTo(name: string): void {
    const app = this.#app;
    const choice = this.choices.find((each) => each.name === name);
    if (!choice) {
      const nearest = nearestWord(
        name,
        this.choices.map((each) => each.name),
      );
      const meant = nearest === undefined ? '' : `; did you mean ${nearest}?`;
      app.say(`There is no connection "${name}"${meant}`, 'warning');
    } else if (choice === this.#current) app.say(`This is ${name} already`);
    else if (app.actions?.isRunning) app.push({ kind: 'quit', toward: choice });
    else void this.connect(choice);
  }

  /** Lays over everything that it is connecting; what is behind comes back when it cannot, or is called off. */
  async connect(choice: ConnectionChoice): Promise<void> {
    const app = this.#app;
    const attempt = (this.#attempt += 1);
    const view: ConnectingView = {
      kind: 'connecting',
      choice,
      back: this.#nameOfCurrent(),
      progress: 'connecting …',
      failure: undefined,
    };
    // Questions and results are about the database that is left.
    const behind = app.model.views.filter(({ kind }) => kind !== 'quit' && kind !== 'action');
    app.update({ views: [...behind.filter(({ kind }) => kind !== 'connecting'), view] });
    const change = (changes: Partial<ConnectingView>) => {
      if (attempt === this.#attempt)
        app.changeView('connecting', (now) => ({ ...now, ...changes }));
    };
    let database: Database;
    try {
      database = await choice.open((progress) => change({ progress }));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const hint = error instanceof ConsoleError ? error.hint : undefined;
      change({ failure: { message, hint } });
      return;
    }
    if (attempt !== this.#attempt) {
      await database.close();
      return;
    }
    app.detach();
    this.#current = choice;
    await this.#show(database, choice);
  }

  /** What a person calls it; a database without a name is what it is. */
  #nameOfCurrent(): string {
    const { name, badge } = this.#current;
    const { place } = this.#app.model;
    return badge || !place ? name : `${place.user}@${place.database}`;
  }

  /** Once more, after it has failed. */
  retry({ choice }: ConnectingView): void {
    void this.connect(choice);
  }

  /** What has not answered yet is not waited for any more. */
  callOff(): void {
    this.#attempt += 1;
  }
}
