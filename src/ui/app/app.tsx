import { useInput } from 'ink';
import { useSyncExternalStore } from 'react';
import { ConsoleScreen } from '../components/console-screen.js';
import { keyName } from '../keys/key-name.js';
import type { Theme } from '../theme.js';
import type { ConsoleApp } from './console-app.js';

/** The root: draws the model, hands the keys on. */
export function App({ app, theme }: { app: ConsoleApp; theme: Theme }) {
  const model = useSyncExternalStore(app.subscribe, app.getModel);
  useInput((input, key) => {
    const name = keyName(input, key);
    if (name !== undefined) app.press(name);
  });
  return <ConsoleScreen app={app} model={model} theme={theme} />;
}
