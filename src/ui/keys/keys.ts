import { actionName } from './action-name.js';
import { keyMap, type Binding, type CommandId, type Scope } from './key-map.js';
import { keyText, shortKeyText } from './key-text.js';

/** The keys that somebody chose for actions; none: the action has no key and is reached by its name. */
export type KeyChoices = ReadonlyMap<CommandId, readonly string[]>;

/** They keep what they mean, whatever is chosen: so every place can be left, and Enter never says yes. */
export const keptKeys: readonly string[] = ['enter', 'escape'];

/** The keys as they are now: those of the key map, or those chosen instead. */
export class Keys {
  readonly bindings: readonly Binding[];

  constructor(choices: KeyChoices = new Map()) {
    this.bindings = keyMap.map((binding) => {
      const { command, keys, closes } = binding;
      const own = chosenKeys(keys, choices.get(command));
      // What opened it closes it, too.
      const opening = closes === undefined ? [] : keysOf(closes, choices);
      return { ...binding, keys: [...new Set([...own, ...opening])] };
    });
  }

  /** What works in a place. */
  in(scope: Scope): readonly Binding[] {
    return this.bindings.filter(({ scopes }) => scopes.includes(scope));
  }

  /** The binding of a key where it is pressed. */
  bindingOf(scope: Scope, key: string): Binding | undefined {
    return this.bindings.find(({ scopes, keys }) => scopes.includes(scope) && keys.includes(key));
  }

  /** The first key of an action as a person reads it; `:name` where it has none. */
  keyOf(command: CommandId, scope?: Scope): string {
    const key = this.#first(command, scope);
    return key === undefined ? `:${actionName(command)}` : keyText(key);
  }

  /** Every key of an action in a place: `Esc or c`. */
  placeKeys(scope: Scope, command: CommandId): string {
    const binding = this.in(scope).find((each) => each.command === command);
    return binding?.keys.map(keyText).join(' or ') ?? '';
  }

  /** What the key bar says of a binding's keys: `q`, `+ -`, `↑↓`. */
  barKeys({ keys, barKeys, barWith }: Binding): string {
    if (typeof barKeys === 'string') return barKeys;
    const [first, ...others] = keys.slice(0, barKeys ?? 1);
    const shown = [first, ...others, barWith && this.#first(barWith)]
      .filter((key) => key !== undefined)
      .map(shortKeyText);
    return shown.join(shown.every((text) => /^[↑↓]$/.test(text)) ? '' : ' ');
  }

  /** A text that names actions as `:window`: with their keys. What has no key stays as it is. */
  inText(text: string): string {
    return text.replace(/(?<![\w:]):([a-z]+(?:-[a-z]+)*)/g, (written, name: string) => {
      const binding = this.bindings.find(({ command }) => actionName(command) === name);
      return binding ? this.keyOf(binding.command) : written;
    });
  }

  #first(command: CommandId, scope?: Scope): string | undefined {
    return this.bindings.find(
      (binding) =>
        binding.command === command && (scope === undefined || binding.scopes.includes(scope)),
    )?.keys[0];
  }
}

function chosenKeys(
  keys: readonly string[],
  chosen: readonly string[] | undefined,
): readonly string[] {
  return chosen ? [...keys.filter((key) => keptKeys.includes(key)), ...chosen] : keys;
}

function keysOf(command: CommandId, choices: KeyChoices): readonly string[] {
  return choices.get(command) ?? keyMap.find((binding) => binding.command === command)?.keys ?? [];
}
