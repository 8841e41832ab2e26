import { consoleVersion } from '../../core/version.js';
import { ConsoleError, exitCodes } from '../../db/errors.js';
import { toAscii } from '../../ui/theme.js';
import {
  type Command,
  type CommandEntry,
  dashed,
  defineCommand,
  descriptionOf,
  type FlagDeclaration,
  type FlagDeclarations,
  globalFlags,
} from '../command.js';
import { exitCodesText, sourcesText } from '../command.js';

export const shells = ['bash', 'zsh', 'fish'] as const;

export type Shell = (typeof shells)[number];

/** What can stand behind some words: the next words of commands, and flags, each with a line about it. */
type Place = { words: string; next: readonly Choice[]; flags: readonly Choice[] };

type Choice = { word: string; about: string };

/** Flags behind which a value stands, which is no word of a command; with the values, where they are known. */
type ValueFlags = ReadonlyMap<string, readonly string[]>;

/** A script that teaches a shell the commands, their flags, and what each is for. */
export async function completionScript(
  shell: Shell,
  commands: readonly CommandEntry[],
): Promise<string> {
  const loaded = await Promise.all(commands.map(({ load }) => load()));
  const places = placesOf(commands, loaded);
  const values = await readValues(loaded);
  switch (shell) {
    case 'bash':
      return bashScript(places, values);
    case 'zsh':
      return zshScript(places, values);
    case 'fish':
      return fishScript(places, values);
  }
}

async function readValues(commands: readonly Command[]): Promise<ValueFlags> {
  const known = new Map<string, readonly string[]>();
  for (const flags of [...commands.map((command) => command.flags), globalFlags]) {
    for (const [name, flag] of Object.entries<FlagDeclaration>(flags)) {
      // A value that may be left out does not stand in the next word.
      if (flag.type === 'boolean' || flag.value?.startsWith('[') === true) continue;
      known.set(dashed(name), (await flag.values?.()) ?? known.get(dashed(name)) ?? []);
    }
  }
  return known;
}

function placesOf(commands: readonly CommandEntry[], loaded: readonly Command[]): Place[] {
  const groups = new Set(
    commands.flatMap(({ name }) => (name.includes(' ') ? [name.split(' ')[0] ?? name] : [])),
  );
  const byName = new Map(loaded.map((command) => [command.name, command]));
  const paths = ['', ...new Set([...groups, ...commands.map(({ name }) => name)])];
  return paths.map((words) => ({
    words,
    next: [
      ...nextWords(commands, words),
      ...(byName.get(words)?.inputValues ?? []).map((word) => ({ word, about: '' })),
    ],
    flags: flagChoices({ ...byName.get(words || 'console')?.flags, ...globalFlags }),
  }));
}

function nextWords(commands: readonly CommandEntry[], words: string): Choice[] {
  const below = commands.filter(({ name }) => words === '' || name.startsWith(`${words} `));
  const restOf = (name: string) => (words === '' ? name : name.slice(words.length + 1)).split(' ');
  const next = new Set(below.map(({ name }) => restOf(name)[0] ?? name));
  const choices = [...next].map((word) => {
    const own = below.find(({ name }) => restOf(name).join(' ') === word);
    const inGroup = below.flatMap(({ name }) => (restOf(name)[0] === word ? restOf(name)[1] : []));
    return { word, about: own?.summary ?? inGroup.filter(Boolean).join(', ') };
  });
  return words === ''
    ? [...choices, { word: 'help', about: 'show the help of a command' }]
    : choices;
}

function flagChoices(flags: FlagDeclarations): Choice[] {
  return [
    ...Object.entries(flags).map(([name, { description }]) => ({
      word: dashed(name),
      about: description,
    })),
    { word: '--help', about: 'show help' },
  ];
}

/** The longest first, so that the first pattern that fits is the right one. */
function longestFirst(places: readonly Place[]): Place[] {
  return places.toSorted((a, b) => b.words.length - a.words.length);
}

function pattern(words: string): string {
  return words === '' ? '*' : `'${words}'|'${words} '*`;
}

/** Flags with a value as a pattern of a shell's `case`; those with known values alone. */
function casesOf(values: ValueFlags): { withValue: string; known: [string, string][] } {
  return {
    withValue: [...values.keys()].join('|'),
    known: [...values].flatMap(([flag, list]) =>
      list.length > 0 ? [[flag, list.join(' ')] as [string, string]] : [],
    ),
  };
}

function bashScript(places: readonly Place[], values: ValueFlags): string {
  const cases = longestFirst(places).map(({ words, next, flags }) => {
    const list = (choices: readonly Choice[]) => choices.map(({ word }) => word).join(' ');
    return `    ${pattern(words)}) next='${list(next)}'; flags='${list(flags)}' ;;`;
  });
  const { withValue, known } = casesOf(values);
  return [
    '# bash completion of trace-console: source <(trace-console completion bash)',
    '_trace_console() {',
    '  local word words= before= next flags current=${COMP_WORDS[COMP_CWORD]}',
    '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
    `    case $before in ${withValue}) before=; continue ;; esac`,
    '    before=$word',
    '    [[ $word == -* || $word == help ]] || words="$words${words:+ }$word"',
    '  done',
    '  COMPREPLY=()',
    '  case $before in',
    ...known.map(
      ([flag, list]) => `    ${flag}) COMPREPLY=($(compgen -W '${list}' -- "$current")); return ;;`,
    ),
    `    ${withValue}) return ;;`,
    '  esac',
    '  case $words in',
    ...cases,
    '  esac',
    '  [[ $current == -* ]] && next=$flags',
    '  COMPREPLY=($(compgen -W "$next" -- "$current"))',
    '}',
    'complete -o default -F _trace_console trace-console',
  ].join('\n');
}

function zshScript(places: readonly Place[], values: ValueFlags): string {
  const quoted = ({ word, about }: Choice) =>
    `'${`${word.replaceAll(':', '\\:')}${about && ':'}${about}`.replaceAll("'", "'\\''")}'`;
  const cases = longestFirst(places).map(({ words, next, flags }) =>
    [
      `    ${words === '' ? '*' : `('${words}'|'${words} '*)`})`,
      `      next=(${next.map(quoted).join(' ')})`,
      `      flags=(${flags.map(quoted).join(' ')}) ;;`,
    ].join('\n'),
  );
  const { withValue, known } = casesOf(values);
  return [
    '#compdef trace-console',
    '# zsh completion of trace-console: source <(trace-console completion zsh)',
    '_trace_console() {',
    '  local -a next flags typed',
    '  local word before=',
    '  for word in ${words[2,CURRENT-1]}; do',
    `    case $before in (${withValue}) before=; continue ;; esac`,
    '    before=$word',
    '    [[ $word == -* || $word == help ]] || typed+=($word)',
    '  done',
    '  case $before in',
    ...known.map(([flag, list]) => `    (${flag}) next=(${list}); _describe value next; return ;;`),
    `    (${withValue}) _files; return ;;`,
    '  esac',
    '  case "${(j: :)typed}" in',
    ...cases,
    '  esac',
    '  if [[ $PREFIX == -* ]]; then _describe -o flag flags',
    '  elif (( $#next )); then _describe command next',
    '  else _files; fi',
    '}',
    'if [[ $funcstack[1] == _trace_console ]]; then _trace_console "$@"; else compdef _trace_console trace-console; fi',
  ].join('\n');
}

function fishScript(places: readonly Place[], values: ValueFlags): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const valueOf = (flag: string) => {
    const list = values.get(flag);
    if (!list) return '';
    return list.length > 0 ? ` -x -a ${quote(list.join(' '))}` : ' -r';
  };
  const lines = places.flatMap(({ words, next, flags }) => {
    const here = `-n ${quote(`__trace_console_at ${quote(words)}`)}`;
    const within = `-n ${quote(`__trace_console_in ${quote(words)}`)}`;
    return [
      ...next.map(
        ({ word, about }) =>
          `complete -c trace-console -f ${here} -a ${quote(word)}${about && ` -d ${quote(about)}`}`,
      ),
      ...flags.map(
        ({ word, about }) =>
          `complete -c trace-console ${within} -l ${quote(word.slice(2))}${valueOf(word)} -d ${quote(about)}`,
      ),
    ];
  });
  const names = places.flatMap(({ words }) => (words === '' ? [] : [quote(words)]));
  return [
    '# fish completion of trace-console: trace-console completion fish | source',
    'function __trace_console_words',
    '  set -l before',
    '  for word in (commandline -opc | tail -n +2)',
    `    if contains -- "$before" ${[...values.keys()].join(' ')}; set before; continue; end`,
    '    set before $word',
    "    string match -qr -- '^(-.*|help)$' $word; or echo $word",
    '  end',
    'end',
    'function __trace_console_at',
    '  set -l typed (__trace_console_words)',
    '  test "$argv[1]" = "$typed"',
    'end',
    '# The words of the command that is typed: behind its name arguments may stand.',
    'function __trace_console_in',
    '  set -l typed (__trace_console_words)',
    `  for count in 2 1`,
    '    set -l name "$typed[1..$count]"',
    `    if contains -- "$name" ${names.join(' ')}; test "$argv[1]" = "$name"; return; end`,
    '  end',
    `  test "$argv[1]" = ''`,
    'end',
    ...lines,
  ].join('\n');
}

export const completionCommand = defineCommand({
  name: 'completion',
  summary: 'print a script that completes commands and flags in bash, zsh or fish',
  usage: shells.join('|'),
  description: [
    'bash: add  source <(trace-console completion bash)  to ~/.bashrc',
    'zsh:  add  source <(trace-console completion zsh)   to ~/.zshrc, behind compinit',
    'fish: run  trace-console completion fish > ~/.config/fish/completions/trace-console.fish',
  ].join('\n'),
  printsFile: () => true,
  flags: {},
  inputs: 1,
  inputValues: shells,
  examples: ['source <(trace-console completion bash)'],
  async run({ input: [shell], print, commands }) {
    const known = shells.find((name) => name === shell);
    if (!known) {
      throw new ConsoleError('usage', `"${shell ?? ''}" is no shell that can be completed in.`, {
        hint: `Give one of: ${shells.join(', ')}.`,
      });
    }
    print(await completionScript(known, commands));
    return exitCodes.good;
  },
});

export const manCommand = defineCommand({
  name: 'man',
  summary: 'print the manual page of every command, for man(1)',
  printsFile: () => true,
  flags: {},
  examples: ['trace-console man | man -l -'],
  async run({ print, commands }) {
    print(await manPage(commands));
    return exitCodes.good;
  },
});

/** The manual page in the language of man(7), made from the registry of commands. */
export async function manPage(commands: readonly CommandEntry[]): Promise<string> {
  const all = await Promise.all(commands.map(({ load }) => load()));
  const lines = [
    `.TH TRACE\\-CONSOLE 1 "" "trace\\-console ${consoleVersion()}" "User Commands"`,
    '.SH NAME',
    'trace\\-console \\- operations console for the traces of AI agents in PostgreSQL',
    '.SH SYNOPSIS',
    '.B trace\\-console',
    '[\\fICOMMAND\\fR] [\\fIFLAGS\\fR]',
    '.SH DESCRIPTION',
    text('Without a command it opens the live console; without a terminal it prints one status.'),
    '.PP',
    text(sourcesText),
    '.SH COMMANDS',
    ...(await Promise.all(all.map(commandLines))).flat(),
    '.SH FLAGS OF EVERY COMMAND',
    ...flagLines(globalFlags),
    '.SH EXIT STATUS',
    text(exitCodesText),
  ];
  // Not every device of man(1) has the others.
  return toAscii(lines.join('\n'));
}

async function commandLines(command: Command): Promise<string[]> {
  const { name, usage, summary, flags, examples = [] } = command;
  const description = await descriptionOf(command);
  return [
    `.SS trace\\-console ${[name, usage]
      .filter(Boolean)
      .map((part) => inline(part ?? ''))
      .join(' ')}`,
    text(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`),
    ...(description === undefined ? [] : ['.PP', '.nf', text(description), '.fi']),
    ...flagLines(flags),
    ...(examples.length === 0
      ? []
      : ['.PP', 'Examples:', '.RS', '.nf', text(examples.join('\n')), '.fi', '.RE']),
  ];
}

function flagLines(flags: FlagDeclarations): string[] {
  return Object.entries(flags).flatMap(([name, { value, description }]) => [
    '.TP',
    `\\fB${inline(dashed(name))}\\fR${value === undefined ? '' : ` \\fI${inline(value)}\\fR`}`,
    text(description),
  ]);
}

/** Lines of text; none may be taken for a request. */
function text(lines: string): string {
  return lines
    .split('\n')
    .map((line) => inline(line).replace(/^([.'])/, '\\&$1'))
    .join('\n');
}

function inline(line: string): string {
  return line.replaceAll('\\', '\\e').replaceAll('-', '\\-');
}
