import { cadencesMs } from '../../live/engine.js';
import { windowsMs } from '../../panes/windows.js';
import { formatSpan } from '../../shared/format/duration.js';
import type { CommandId } from '../keys/key-map.js';
import { isBesideOverview } from '../model/model.js';
import type { Movement } from '../model/cursor.js';
import { findCursor, isTail, moveTo, seenBy } from '../model/pane-view.js';
import type { ConsoleApp } from './console-app.js';
import {
  openAnalyze,
  openArchive,
  openCleanUp,
  openPurge,
  openRestore,
  whyNoPurge,
  whyNoRestore,
  openPrune,
  openReindex,
  openReindexVectors,
  openVacuum,
  whyNoAction,
  whyNoReindex,
  whyNoTables,
} from './action-commands.js';
import { alertCommands } from './alerting.js';
import { connectionCommands, moveInConnections } from './connection-commands.js';
import { asks, needsLive } from './offline.js';
import { moveInPaneList, paneCommands } from './pane-commands.js';
import { outCommands } from './out-commands.js';
import { openedCommands } from './opened-commands.js';
import { moveView } from './move-view.js';
import { openChosen, whyNotOpen } from './open-commands.js';
import { rowCommands } from './row-commands.js';
import { promptCommands } from './prompt.js';
import { quitCommands } from './quit-commands.js';
import { momentCommands, showMoment, windowText } from './moment-commands.js';
import { speedOr, togglePlay } from './replay-commands.js';
import { endSearch } from './search-commands.js';
import { statementCommands } from './statement-commands.js';

export type Command = {
  run(app: ConsoleApp, key: string): void;
  /** Why it can do nothing now, for the status line; undefined when it can. */
  unavailable?(app: ConsoleApp, key: string): string | undefined;
};

/** Moves the cursor of a pane or scrolls what lies over it; `page` counts pages instead of rows. */
function move(by: Movement): Command {
  return {
    run(app) {
      const front = app.model.views.at(-1);
      if (front?.kind === 'paneList') {
        moveInPaneList(app, by);
        return;
      }
      if (front?.kind === 'connections') {
        moveInConnections(app, by);
        return;
      }
      if (front) {
        moveView(app, by);
        return;
      }
      const { focusedPane: pane, focusedRows: rows, model } = app;
      const view = model.panes[model.focus];
      const page = Math.max(1, (app.drawers.get(pane.id)?.visibleRows ?? 2) - 1);
      const { index = 0 } = findCursor(pane, rows, view);
      const last = rows.length - 1;
      const target =
        by.to === undefined
          ? index + (by.rows ?? 0) + page * (by.pages ?? 0)
          : by.to === 'first'
            ? 0
            : last;
      const seen = seenBy(model.live?.panes[pane.id].extras);
      app.changePane(moveTo(pane, rows, view, target, seen));
    },
    unavailable(app) {
      if (app.model.views.length > 0 || app.focusedRows.length > 0) return undefined;
      return `${app.focusedPane.title} has no rows`;
    },
  };
}

function stepWindow(by: number): Command {
  return {
    run(app) {
      const here = windowsMs.indexOf(app.model.live?.windowMs ?? 0);
      const next = windowsMs[(here + by + windowsMs.length) % windowsMs.length];
      if (next === undefined) return;
      app.engine?.setWindow(next);
      app.say(windowText(app, next));
    },
    unavailable: needsLive,
  };
}

function stepCadence(by: number): Command {
  const nextOf = (app: ConsoleApp) => {
    const here = cadencesMs.indexOf(app.model.live?.cadenceMs ?? 0);
    return cadencesMs[here + by];
  };
  return {
    run(app) {
      const next = nextOf(app);
      if (next === undefined) return;
      app.engine?.setCadence(next);
      app.say(`Asking every ${formatSpan(next)}, where that costs the server little`);
    },
    unavailable(app) {
      if (!app.model.live) return needsLive(app);
      if (nextOf(app) !== undefined) return undefined;
      return `Every ${formatSpan(app.model.live.cadenceMs)} is as ${by < 0 ? 'often' : 'seldom'} as it gets`;
    },
  };
}

/** What each command of the key map does. */
export const commands: Readonly<Record<CommandId, Command>> = {
  ...paneCommands,
  ...promptCommands,
  ...rowCommands,
  up: move({ rows: -1 }),
  down: move({ rows: 1 }),
  pageUp: move({ pages: -1 }),
  pageDown: move({ pages: 1 }),
  first: move({ to: 'first' }),
  last: move({ to: 'last' }),
  open: { run: openChosen, unavailable: whyNotOpen },
  back: {
    run(app, key) {
      const { views, zoomed, focus, panes, home } = app.model;
      const view = views.at(-1);
      if (view?.kind === 'action') app.actions?.close();
      else if (key === 'escape' && view && 'search' in view && view.search) endSearch(app);
      else if (view) {
        if (view.kind === 'connecting') app.connections?.callOff();
        app.pop();
      } else if (panes[focus].marks.size > 0) app.changePane({ marks: new Set() });
      else if (panes[focus].filter !== '') app.changePane({ filter: '' });
      else if (isTail(app.focusedPane) && !panes[focus].follow) app.changePane({ follow: true });
      else if (isBesideOverview(app.model)) app.update({ focus: home });
      else if (zoomed) app.update({ zoomed: false });
      else if (app.model.live?.untilMs !== undefined) showMoment(app, undefined);
    },
    unavailable({ model, focusedPane, keys }) {
      if (model.views.length > 0 || model.zoomed || isBesideOverview(model)) return undefined;
      const { filter, marks } = model.panes[model.focus];
      if (filter !== '' || marks.size > 0) return undefined;
      if (isTail(focusedPane) && !model.panes[model.focus].follow) return undefined;
      if (model.live?.untilMs !== undefined) return undefined;
      return `This is the overview; ${keys.keyOf('quit')} quits`;
    },
  },
  zoom: {
    run: (app) => app.update({ zoomed: !app.model.zoomed }),
    unavailable: ({ model, focusedPane }) =>
      isBesideOverview(model)
        ? `${focusedPane.title} has the whole screen; Esc leads back`
        : undefined,
  },
  sort: {
    run(app) {
      const { focusedPane: pane, model } = app;
      const sort = (model.panes[model.focus].sort + 1) % pane.sorts.length;
      app.changePane({ sort, reversed: false });
      app.say(`${pane.title}: ${pane.sorts[sort]?.title ?? ''} first`);
    },
    unavailable: ({ focusedPane: pane }) =>
      pane.sorts.length > 1 ? undefined : `${pane.title} has one order: ${pane.sorts[0].title}`,
  },
  reverse: {
    run(app) {
      const { focusedPane: pane, model } = app;
      const { reversed, sort } = model.panes[model.focus];
      app.changePane({ reversed: !reversed });
      app.say(`${pane.title}: ${pane.sorts[sort]?.title ?? ''} ${reversed ? 'first' : 'last'}`);
    },
    unavailable: ({ focusedPane: pane }) =>
      pane.sorts.length > 1 ? undefined : `${pane.title} has one order: ${pane.sorts[0].title}`,
  },
  window: asks(stepWindow(1)),
  windowShorter: asks(stepWindow(-1)),
  pause: {
    run(app) {
      if (app.player) {
        togglePlay(app);
        return;
      }
      const paused = !(app.model.live?.paused ?? false);
      app.engine?.setPaused(paused);
      app.say(
        paused ? `Paused: nothing is asked but with ${app.keys.keyOf('refresh')}` : 'Asking again',
      );
    },
    unavailable: needsLive,
  },
  faster: speedOr(1, stepCadence(-1)),
  slower: speedOr(-1, stepCadence(1)),
  ...alertCommands,
  ...momentCommands,
  ...statementCommands,
  ...connectionCommands,
  refresh: asks({
    run(app) {
      app.engine?.refreshNow();
      app.say('Asking now');
    },
    unavailable: needsLive,
  }),
  exact: asks({
    run(app) {
      const { id, title } = app.focusedPane;
      const exact = !(app.model.live?.panes[id].exact ?? false);
      app.engine?.setExact(id, exact);
      app.say(exact ? `${title}: counting every row of the window` : `${title}: as usual`);
    },
    unavailable: (app) => {
      const { windowed, title } = app.focusedPane;
      return (
        needsLive(app) ?? (windowed ? undefined : `The figures of ${title} are not of a window`)
      );
    },
  }),
  reindex: { run: openReindex, unavailable: whyNoReindex },
  reindexVectors: { run: openReindexVectors, unavailable: whyNoAction },
  restore: { run: openRestore, unavailable: whyNoRestore },
  purge: { run: openPurge, unavailable: whyNoPurge },
  cleanUp: { run: openCleanUp, unavailable: whyNoAction },
  prune: { run: openPrune, unavailable: whyNoAction },
  analyze: { run: openAnalyze, unavailable: whyNoTables },
  vacuum: { run: openVacuum, unavailable: whyNoTables },
  archiveTraces: { run: openArchive, unavailable: whyNoAction },
  ...openedCommands,
  ...outCommands,
  help: { run: (app) => app.push({ kind: 'help', top: 0 }) },
  quit: { run: (app) => app.quit() },
  ...quitCommands,
  confirm: { run: (app) => app.actions?.confirm() },
  cancel: { run: (app) => app.actions?.cancel() },
  accept: {
    run(app) {
      app.answer(true);
    },
    unavailable({ model: { stage, views } }) {
      if (views.length > 0 || stage.kind !== 'schema' || stage.phase === 'ask') return undefined;
      return stage.phase === 'applying' ? 'It is being created' : 'Nothing can be created here';
    },
  },
  decline: {
    run(app) {
      app.answer(false);
    },
    unavailable({ model: { stage, views } }) {
      const applying = stage.kind === 'schema' && stage.phase === 'applying';
      return views.length === 0 && applying ? 'It is being created; Ctrl-C stops it' : undefined;
    },
  },
  // The terminal layer takes these three before Ink sees them; they stand in the map for help.
  interrupt: { run: (app) => app.interrupt() },
  suspend: { run: () => undefined },
  repaint: { run: () => undefined },
};
