import type { CommandId } from './key-map.js';

/** An action as it is typed behind `:` and named in the config: `focusNext` → `focus-next`. */
export function actionName(command: CommandId): string {
  return command.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
