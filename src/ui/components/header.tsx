import { drawHeader, headerHeight } from '../draw/header.js';
import type { Model } from '../model/model.js';
import type { Theme } from '../theme.js';
import { Lines } from './lines.js';

export function Header({ model, theme }: { model: Model; theme: Theme }) {
  const { columns } = model.size;
  const text = theme.encode(drawHeader(theme, model, columns).join('\n'));
  return <Lines text={text} x={0} y={0} width={columns} height={headerHeight} />;
}
