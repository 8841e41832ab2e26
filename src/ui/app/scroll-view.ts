import type { ConsoleApp } from './console-app.js';

/** Scrolls the record or the help that lies over the panes. */
export function scrollView(
  app: ConsoleApp,
  by: { rows?: number; pages?: number; to?: 'first' | 'last' },
): void {
  const view = app.model.views.at(-1);
  if (view?.kind !== 'record' && view?.kind !== 'help') return;
  const { height, length } = app.viewExtent;
  const last = Math.max(0, length - height);
  const page = Math.max(1, height - 1);
  const wanted =
    by.to === undefined
      ? Math.min(view.top, last) + (by.rows ?? 0) + page * (by.pages ?? 0)
      : by.to === 'first'
        ? 0
        : last;
  const top = Math.min(Math.max(0, wanted), last);
  app.changeView(view.kind, (current) => ({ ...current, top }));
}
