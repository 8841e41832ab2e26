import { offers, type OfferedAction } from '../../maintenance/registry.js';
import type { Offer } from '../../maintenance/action.js';
import { findPaneOfRows } from '../../panes/registry.js';
import type { Command, Context } from '../context.js';
import { failureText } from '../strings.js';
import { confirmScope } from '../views/action.js';
import { whyOffline } from './kinds.js';
import { chosenRows, whyNoMarked } from './rows.js';

type Offered = Offer<OfferedAction>;

/** One command for each `OfferCommand`. Several offers may share one: which applies depends on the rows of the focused pane. */
export const actionCommands: readonly Command[] = [
  ...new Set(offers.map(({ command }) => command)),
].map(({ id, key, title, bar, priority }) => {
  const own = offers.filter(({ command }) => command.id === id);
  return {
    id,
    keys: [key],
    title,
    ...(bar === undefined ? {} : { bar }),
    ...(priority === undefined ? {} : { priority }),
    asks: confirmScope.id,
    needsDatabase: true,
    isOnBar: (context) => context.database?.readOnly !== true && takable(context, own).length > 0,
    run: (context) => openOffered(context, own),
    unavailable: (context) => whyNotOffered(context, own),
  };
});

/** The commands of actions that are done to all rows of a list, with that list. */
export const listActions: readonly { command: Command; list: NonNullable<Offered['list']> }[] =
  offers.flatMap(({ list, command: { id } }) => {
    const command = actionCommands.find((each) => each.id === id);
    return command && list !== undefined ? { command, list } : [];
  });

/** Whether the focused pane has the rows that an offer takes. */
function isOfPane({ focus }: Context, { rows }: Offered): boolean {
  return rows !== undefined && rows === focus.pane.rowsAre;
}

function rowsFor(context: Context, offer: Offered): object[] {
  return isOfPane(context, offer) ? chosenRows(context) : [];
}

/** The offers that can be taken with the pane that is focused. */
function takable(context: Context, own: readonly Offered[]): Offered[] {
  return own.filter((offer) => offer.needs === undefined || isOfPane(context, offer));
}

function whyNotOffered(context: Context, own: readonly Offered[]): string | undefined {
  if (!context.actions) return whyOffline(context);
  const [offer] = takable(context, own);
  if (!offer) return selectFirst(own);
  if (isOfPane(context, offer)) {
    const hidden = whyNoMarked(context);
    if (hidden !== undefined) return hidden;
  }
  const rows = rowsFor(context, offer);
  if (offer.needs !== undefined && rows.length === 0) {
    return `There is no ${withoutArticle(offer.needs)} under the cursor`;
  }
  return offer.whyNot?.(rows);
}

/** `Select an index first (pane Index usage)` */
function selectFirst(own: readonly Offered[]): string {
  const all = (texts: readonly string[]) => [...new Set(texts)].join(' or ');
  const titles = own.flatMap(({ rows }) => (rows && findPaneOfRows(rows)?.title) ?? []);
  return `Select ${all(own.flatMap(({ needs }) => needs ?? []))} first (pane ${all(titles)})`;
}

function withoutArticle(noun: string): string {
  return noun.replace(/^an? /, '');
}

/** Opens the dialog of the first offer that takes the chosen rows. */
function openOffered(context: Context, own: readonly Offered[]): void {
  const { database } = context;
  if (!database) return;
  for (const offer of takable(context, own)) {
    const choice = offer.choose(rowsFor(context, offer), database);
    if (!choice) continue;
    if ('chosen' in choice) context.actions?.openLater(choice);
    else open(context, choice);
    return;
  }
}

function open(context: Context, action: OfferedAction): void {
  const refused = context.actions?.open(action);
  if (refused) context.say(context.keys.inText(failureText(refused)), 'warning');
}
