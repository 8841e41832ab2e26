import { Box } from 'ink';
import type { ConsoleApp } from '../app/console-app.js';
import { isTooSmall } from '../layout/layout.js';
import type { Model } from '../model/model.js';
import type { Theme } from '../theme.js';
import { BottomLine } from './bottom-line.js';
import { Header } from './header.js';
import { Overlays } from './overlays.js';
import { Panes } from './panes.js';
import { SchemaScreen } from './schema-screen.js';
import { TooSmall } from './too-small.js';

export type ScreenProps = { app: ConsoleApp; model: Model; theme: Theme };

/** The whole screen: header, panes, what lies over them, and one line at the bottom. */
export function ConsoleScreen({ app, model, theme }: ScreenProps) {
  const { columns, rows } = model.size;
  if (isTooSmall(model.size)) {
    const isRunning = app.actions?.isRunning ?? false;
    return <TooSmall app={app} size={model.size} isRunning={isRunning} theme={theme} />;
  }
  return (
    <Box width={columns} height={rows}>
      <Header model={model} theme={theme} />
      {model.stage.kind === 'schema' ? (
        <SchemaScreen app={app} stage={model.stage} size={model.size} theme={theme} />
      ) : null}
      {model.stage.kind === 'live' ? <Panes app={app} model={model} theme={theme} /> : null}
      <Overlays app={app} model={model} theme={theme} />
      <BottomLine app={app} model={model} theme={theme} />
    </Box>
  );
}
