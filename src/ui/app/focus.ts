import { filterText } from '../../panes/contract/filter.js';
import type { AnyPane, PaneId } from '../../panes/registry.js';
import { paneById } from '../../panes/registry.js';
import type { Context, Focus } from '../context.js';
import {
  leftToFilter,
  type PaneView,
  rowsInView,
  shownPane,
  withFilter,
} from '../model/pane-view.js';

/** The focused pane of the model, and its rows. */
export class FocusedPane implements Focus {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  get pane(): AnyPane {
    return shownPane(paneById(this.#context.model.focus), this.view);
  }

  get view(): PaneView {
    const { panes, focus } = this.#context.model;
    return panes[focus];
  }

  get rows(): readonly object[] {
    return this.#rowsOf(this.view);
  }

  filter(text: string): void {
    const { pane, view } = this;
    const read = filterText(text, [...pane.columns, ...(pane.fields ?? [])]);
    const filter = 'whole' in read ? read.whole : text;
    this.change(withFilter(pane, this.#rowsOf({ ...view, filter }), view, filter));
  }

  change(change: Partial<PaneView>): void {
    const { panes, focus } = this.#context.model;
    this.#context.update({ panes: { ...panes, [focus]: { ...panes[focus], ...change } } });
  }

  #rowsOf(view: PaneView): readonly object[] {
    const { live, focus } = this.#context.model;
    if (!live) return [];
    const { rows, asOf, filter } = live.panes[focus];
    return rowsInView(this.pane, rows, leftToFilter(view, filter), asOf?.getTime() ?? 0);
  }

  goTo(focus: PaneId): void {
    const { overview, views } = this.#context.model;
    const home = overview.includes(focus) ? { home: focus } : {};
    this.#context.update({ focus, ...home, views: views.filter(({ openedBy }) => !openedBy) });
  }
}
