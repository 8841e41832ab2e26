import { counted } from '../../core/format/number.js';
import { Fleet, type FleetMember } from '../../live/fleet.js';
import { fleetColumns, fleetRows } from '../../live/fleet-rows.js';
import { exactJson } from '../../core/exact-json.js';
import { openedExport } from '../../panes/export/exportable.js';
import { memoryList } from '../../panes/contract/listing.js';
import { closing, inView, terminalCommands, whyOffline } from '../commands/kinds.js';
import { columnsLeft, columnsRight, moves } from '../commands/rows.js';
import type { Command, ConnectionChoice, Context, Copyable, Scope, View } from '../context.js';
import { columnsOutOfView, drawTable, hiddenColumns } from '../draw/table.js';
import { moved, scrollTop, type Movement } from '../model/list-state.js';
import { innerBody, OpenedBox } from '../screen/boxes.js';
import { strings } from '../strings.js';
import { copy, exportRows } from './export.js';
import { help } from './help.js';
import { palette } from './palette.js';

type Cursor = {
  index: number;
  top: number;
  /** How many columns behind the first are scrolled out to the left. */
  shift: number;
};

/** All databases of the config file, a line each; Enter goes there. They are asked while this is on the view stack. */
export class FleetView implements View {
  readonly scope: Scope = fleetScope;
  readonly covers = true;
  /** It shows for how long a database has been silent. */
  readonly showsTime = true;
  readonly nameOnReturn = strings.fleet;
  readonly fleet: Fleet;
  readonly #members: readonly FleetMember[];
  readonly #cursor: Cursor;
  /** What the database in front is called, where the config file does not name it. */
  readonly besideNamed: string | undefined;

  constructor(
    fleet: Fleet,
    beside: string | undefined,
    cursor: Cursor = { index: 0, top: 0, shift: 0 },
  ) {
    this.fleet = fleet;
    this.besideNamed = beside;
    this.#members = fleet.members;
    this.#cursor = cursor;
  }

  draw(context: Context) {
    const { model, keys } = context;
    const { size } = model;
    const { width, height } = innerBody(size);
    const { index, top, shift } = this.#cursor;
    const nowMs = Date.now();
    const options = { width, height: height - 1, top, cursor: index, shift, faded: false };
    const rows = fleetRows(this.#members, nowMs);
    const table = drawTable(fleetColumns, rows, { nowMs }, options);
    return (
      <OpenedBox
        lines={[table.heading, ...table.rows]}
        title={this.#title}
        note="rates: of the last 5 minutes"
        top={top}
        visibleRows={height - 1}
        count={this.#members.length}
        foot={[]}
        footRight={columnsOutOfView(shift, this.hiddenColumns(context), keys)}
        size={size}
      />
    );
  }

  move(context: Context, by: Movement): void {
    const height = innerBody(context.model.size).height - 1;
    const { length } = this.#members;
    const index = moved(this.#cursor.index, by, length, height);
    if (index === this.#cursor.index) return;
    const top = scrollTop(this.#cursor.top, index, height, length);
    this.#show(context, { index, top });
  }

  shifted(context: Context, by: 1 | -1): void {
    this.#show(context, { shift: this.#cursor.shift + by });
  }

  get shift(): number {
    return this.#cursor.shift;
  }

  /** Columns that have no room, to the right. */
  hiddenColumns({ model }: Context): number {
    const nowMs = Date.now();
    const of = { rows: fleetRows(this.#members, nowMs), context: { nowMs } };
    return hiddenColumns(fleetColumns, this.shift, innerBody(model.size).width, of);
  }

  #show(context: Context, change: Partial<Cursor>): void {
    const cursor = { ...this.#cursor, ...change };
    context.replace(this, new FleetView(this.fleet, this.besideNamed, cursor));
  }

  /** The same view with the newest figures. */
  fresh(): FleetView {
    return new FleetView(this.fleet, this.besideNamed, this.#cursor);
  }

  get #title(): string {
    const named = this.#members.length - (this.besideNamed === undefined ? 0 : 1);
    const beside = this.besideNamed === undefined ? '' : ', and the database in front';
    return `Fleet: ${counted(named, 'connection')} of the config file${beside}`;
  }

  get chosen(): string | undefined {
    return this.#members[this.#cursor.index]?.name;
  }

  copyable(): Copyable | undefined {
    const member = this.#members[this.#cursor.index];
    return member && { text: exactJson(member, 2), what: 'the row as JSON' };
  }

  exportable() {
    const rows = fleetRows(this.#members, Date.now());
    const list = { title: 'Fleet', columns: fleetColumns, rows, rowKey, summary: [], empty: '' };
    return openedExport(memoryList({ ...list, asOf: new Date() }));
  }
}

const rowKey = ({ name }: FleetMember) => name;

/** The embedded database is listed only when it is the current one: the fleet does not start it. */
function fleetChoices({ connections }: Context): readonly ConnectionChoice[] {
  const { choices = [], current } = connections ?? {};
  return choices.filter((choice) => choice.badge !== undefined || choice === current);
}

export const fleet: Command = {
  id: 'fleet',
  keys: ['F'],
  title: 'every connection of the config file on one screen: state, traces, failures, size, alerts',
  needsDatabase: true,
  run(context) {
    const { current } = context.connections ?? {};
    const beside = current && !current.badge ? context.connections?.nameOfCurrent : undefined;
    const sources = fleetChoices(context).map((choice) =>
      choice === current ? { ...choice, name: beside ?? choice.name } : choice,
    );
    const asked = new Fleet(sources, context.alerts.rules);
    context.push(new FleetView(asked, beside));
    const stop = asked.subscribe(() => {
      const view = context.model.views.find(
        (each): each is FleetView => each instanceof FleetView && each.fleet === asked,
      );
      if (view) context.replace(view, view.fresh());
      else {
        stop();
        asked.stop();
      }
    });
    asked.start();
  },
  unavailable(context) {
    if (!context.connections) return whyOffline(context);
    return fleetChoices(context).length > 1
      ? undefined
      : 'There is one connection only; docs/configuration.md says how more are named: [connections.NAME]';
  },
};

const go = inView(FleetView, {
  id: 'go',
  keys: ['enter'],
  isFixed: true,
  title: 'go to the chosen database',
  bar: 'go there',
  priority: 1,
  run({ chosen, besideNamed }, context) {
    if (chosen === undefined) return;
    if (chosen === besideNamed || chosen === context.connections?.current.name) context.pop();
    else context.connections?.goTo(chosen);
  },
});

const ask = inView(FleetView, {
  id: 'ask-fleet',
  keys: ['ctrl+r'],
  title: 'ask all of them now',
  bar: 'ask now',
  priority: 3,
  run(view, context) {
    view.fleet.refresh();
    context.say(strings.refreshing);
  },
});

/** The columns, as in a list. */
const columns = [
  inView(FleetView, {
    ...columnsRight,
    run: (view, context) => view.shifted(context, 1),
    unavailable: (view, context) =>
      view.hiddenColumns(context) > 0 ? undefined : strings.noMoreColumns,
  }),
  inView(FleetView, {
    ...columnsLeft,
    run: (view, context) => view.shifted(context, -1),
    unavailable: ({ shift }) => (shift > 0 ? undefined : strings.firstColumn),
  }),
];

export const fleetScope: Scope = {
  id: 'fleet',
  title: 'In the fleet',
  needsDatabase: true,
  isInHelp: true,
  commands: [
    ...moves,
    ...columns,
    go,
    ask,
    copy,
    exportRows,
    closing({ keys: ['escape', 'q'], title: 'back to the panes', closes: fleet.id }),
    palette,
    help,
    ...terminalCommands,
  ],
};
