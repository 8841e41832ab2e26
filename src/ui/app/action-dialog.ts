import type { Database } from '../../db/database.js';
import type { LiveSource } from '../../live/source.js';
import type { View } from '../model/views.js';
import { ActionRunner } from './action-runner.js';
import type { ConsoleApp } from './console-app.js';

/** The dialog of a maintenance action: what it shows lies over the panes, and a word that confirms is typed into it. */
export class ActionDialog {
  readonly runner: ActionRunner;
  readonly #app: ConsoleApp;

  constructor(app: ConsoleApp, database: Database, source: LiveSource) {
    this.#app = app;
    this.runner = new ActionRunner(database, {
      show: (view) => this.#show(view),
      now: () => source.clock.now(),
      ended: () => {
        void source.schemaChanged();
        app.actionEnded();
      },
    });
  }

  /** The letters of a word that confirms are no keys. */
  takesText(key: string): boolean {
    const view = this.#app.model.views.at(-1);
    if (view?.kind !== 'action' || view.phase !== 'confirm') return false;
    const { typed: word, nothing } = view.preview ?? {};
    if (word === undefined || nothing !== undefined) return false;
    if (key === 'enter') {
      if (view.typed === word) this.runner.confirm();
      else this.#app.say(`Not yet: the word is "${word}"`, 'warning');
      return true;
    }
    if (key === 'space') this.runner.type(' ');
    else if (key === 'backspace' || key.length === 1) this.runner.type(key);
    return key !== 'escape';
  }

  #show(view: View | undefined): void {
    const others = this.#app.model.views.filter(({ kind }) => kind !== 'action');
    // Where to go, and the question before leaving, stay in front.
    const isLeaving = ({ kind }: View) => kind === 'quit' || kind === 'connections';
    const behind = others.filter((other) => !isLeaving(other));
    this.#app.update({ views: view ? [...behind, view, ...others.filter(isLeaving)] : others });
  }
}
