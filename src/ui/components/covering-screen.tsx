import type { ConsoleApp } from '../app/console-app.js';
import type { Size } from '../layout/layout.js';
import type { CoveringView } from '../model/views.js';
import type { Theme } from '../theme.js';
import { ConnectingScreen } from './connecting-screen.js';
import { HelpScreen } from './help-screen.js';
import { ListScreen } from './list-screen.js';
import { RecordScreen, WaitingScreen } from './record-screen.js';
import { TraceScreen } from './trace-screen.js';

type Props = { app: ConsoleApp; view: CoveringView; size: Size; theme: Theme };

/** A view that covers the panes. */
export function CoveringScreen({ app, view, size, theme }: Props) {
  switch (view.kind) {
    case 'help':
      return <HelpScreen app={app} view={view} size={size} theme={theme} />;
    case 'connecting':
      return <ConnectingScreen app={app} view={view} size={size} theme={theme} />;
    case 'waiting':
      return <WaitingScreen app={app} view={view} size={size} theme={theme} />;
    case 'record':
      return <RecordScreen app={app} view={view} size={size} theme={theme} />;
    case 'list':
      return <ListScreen app={app} view={view} size={size} theme={theme} />;
    case 'trace':
      return <TraceScreen app={app} view={view} size={size} theme={theme} />;
  }
}
