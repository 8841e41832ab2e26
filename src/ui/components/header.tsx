import { drawHeader, headerHeight } from '../draw/header.js';
import type { Model } from '../model/model.js';
import type { Theme } from '../theme.js';
import { Lines } from './lines.js';

export function Header({ model, theme }: { model: Model; theme: Theme }) {
  const { columns } = model.size;
  const connecting = model.views.find((view) => view.kind === 'connecting');
  const { choice, failure } = connecting ?? {};
  const input = choice
    ? { ...model, toward: choice, opening: failure ? '○ no connection' : '○ connecting' }
    : model;
  const text = theme.encode(drawHeader(theme, input, columns).join('\n'));
  return <Lines text={text} x={0} y={0} width={columns} height={headerHeight} />;
}
