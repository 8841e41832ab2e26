import { paneKey } from '../../panes/registry.js';
import { ageOf } from '../app/age.js';
import { drawPaneLine } from '../draw/pane-line.js';
import type { Place } from '../layout/layout.js';
import { layoutOf, type Model } from '../model/model.js';
import { coversPanes } from '../model/views.js';
import { Lines } from './lines.js';
import type { ScreenProps } from './console-screen.js';

/** The panes where the layout puts them; none while something covers them all. */
export function Panes({ app, model, theme }: ScreenProps) {
  const { live, views } = model;
  if (!live || views.some(coversPanes)) return null;
  return layoutOf(model).places.map((place) => (
    <PaneRegion key={place.id} app={app} model={model} theme={theme} place={place} live={live} />
  ));
}

type RegionProps = ScreenProps & { place: Place; live: NonNullable<Model['live']> };

function PaneRegion({ app, model, theme, place, live }: RegionProps) {
  const { id, kind, x, y, width, height } = place;
  const pane = app.panes.find((candidate) => candidate.id === id);
  const number = paneKey(id);
  const drawer = app.drawers.get(id);
  if (!pane || !drawer) return null;
  const snapshot = live.panes[id];
  const connected = live.connection.state === 'connected';
  const age = ageOf(snapshot, model.nowMs, { connected, paused: live.paused });
  const focused = model.focus === id;
  const text =
    kind === 'line'
      ? theme.encode(drawPaneLine(theme, { pane, snapshot, number, width, age }))
      : drawer.draw(theme, {
          pane,
          snapshot,
          view: model.panes[id],
          keys: app.keys,
          number,
          width,
          height,
          focused,
          age,
          cadenceMs: live.cadenceMs,
          utc: model.utc,
        });
  return <Lines text={text} x={x} y={y} width={width} height={height} />;
}
