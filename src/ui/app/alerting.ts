import { AlertWatch, type AlertRule } from '../../live/alerts/alert-watch.js';
import type { LiveState } from '../../live/state.js';
import { looksBack } from '../../panes/contract/pane.js';
import { paneById } from '../../panes/registry.js';
import type { AlertReport } from '../context.js';
import type { AlertSettings } from './options.js';

const noSettings: AlertSettings = { rules: [], bell: false, desktop: false };

/** Watches what comes in, and tells once when something begins. */
export class Alerting implements AlertReport {
  #watch: AlertWatch;
  readonly #settings: AlertSettings;
  readonly #notify: (text: string, how: { bell: boolean; desktop: boolean }) => void;

  constructor(
    settings: AlertSettings | undefined = noSettings,
    notify: (text: string, how: { bell: boolean; desktop: boolean }) => void,
  ) {
    this.#watch = new AlertWatch(settings.rules);
    this.#settings = settings;
    this.#notify = notify;
  }

  /** On another database nothing has fired yet. */
  restart(): void {
    this.#watch = new AlertWatch(this.#settings.rules);
  }

  get state() {
    return this.#watch.state;
  }

  get panes() {
    return this.#watch.panes;
  }

  get rules(): readonly AlertRule[] {
    return this.#settings.rules;
  }

  /** What the reader looks up in the past is no news: rules about panes that show it wait for now. */
  isPaused({ untilMs }: LiveState): boolean {
    return untilMs !== undefined && this.panes.some((id) => looksBack(paneById(id)));
  }

  see(live: LiveState, wallMs: number): void {
    for (const { rule, what } of this.#watch.see(live, wallMs)) {
      this.#notify(`trace-console: ${rule}: ${what}`, this.#settings);
    }
  }
}
