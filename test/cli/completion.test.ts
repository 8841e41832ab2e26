import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { completionScript, manPage, type Shell, shells } from '../../src/cli/commands/shell.js';
import { commands } from '../../src/cli/registry.js';
import { runCli } from '../helpers/cli.js';

/** Asks a shell what it offers for a line, the last word of which is being typed. */
const askings = {
  bash: (script: string, words: readonly string[]) => [
    'bash',
    '--norc',
    '-c',
    `source ${script}; COMP_WORDS=(trace-console ${quoted(words)}); COMP_CWORD=${words.length}
    _trace_console; printf '%s\\n' "\${COMPREPLY[@]}"`,
  ],
  // What _describe is given; that it offers what begins with the word is zsh's own.
  zsh: (script: string, words: readonly string[]) => [
    'zsh',
    '-f',
    '-c',
    `compdef() { }; source ${script}; _files() { }
    _describe() { for each in "\${(@P)@[-1]}"; do print -r -- "\${\${each/#\\\\/}%%:*}"; done }
    words=(trace-console ${quoted(words)}); CURRENT=$#words; PREFIX=$words[-1]; _trace_console`,
  ],
  fish: (script: string, words: readonly string[]) => [
    'fish',
    '--no-config',
    '-c',
    `source ${script}; complete -C ${quoted([`trace-console ${words.join(' ')}`])}`,
  ],
};

function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(' ');
}

function isInstalled(shell: Shell): boolean {
  return spawnSync(shell, ['-c', 'exit']).error === undefined;
}

describe.each(shells.filter(isInstalled))('completion in %s', (shell) => {
  let script: string;

  beforeAll(async () => {
    script = join(mkdtempSync(join(tmpdir(), 'trace-console-completion-')), 'script');
    writeFileSync(script, await completionScript(shell, commands));
  });

  /** The words that begin as the last one does. */
  function offered(...words: string[]): string[] {
    const [program = '', ...args] = askings[shell](script, words);
    const lines = execFileSync(program, args).toString().split('\n');
    const found = lines.flatMap((line) => line.split('\t')[0] ?? []);
    return found.filter((word) => word !== '' && word.startsWith(words.at(-1) ?? '')).toSorted();
  }

  it('offers commands by their beginning, and behind help', () => {
    expect(offered('sche')).toEqual(['schema']);
    expect(offered('help', 'sche')).toEqual(['schema']);
  });

  it('offers the second word of a group, also behind flags and their values', () => {
    expect(offered('schema', '--json', 'v')).toEqual(['verify']);
    expect(offered('--schema', 'agents', 'schema', 'v')).toEqual(['verify']);
  });

  it("offers a command's own flags beside those of every command", () => {
    expect(offered('archive', 'list', '--ur')).toEqual(['--url']);
    expect(offered('archive', 'list', '--sea')).toEqual(['--search']);
    expect(offered('archive', '--older')).toEqual(['--older-than']);
  });

  it('offers the values of a flag or an argument that are known', () => {
    expect(offered('console', '--pane', 'slow')).toEqual(['slow-hooks']);
    expect(offered('completion', 'z')).toEqual(['zsh']);
  });
});

describe('every script', () => {
  it.each(shells)('knows every word of every command in %s', async (shell) => {
    const script = await completionScript(shell, commands);
    for (const word of commands.flatMap(({ name }) => name.split(' '))) {
      expect(script).toContain(word);
    }
  });
});

describe('a shell that is unknown', () => {
  it('is named, with those there are', async () => {
    const { exitCode, stderr } = await runCli(['completion', 'tcsh']);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('bash, zsh, fish');
  });
});

describe('the manual page', () => {
  it('is read by man without a warning, where it is installed', async (context) => {
    const { error, stderr } = spawnSync('man', ['--warnings', '-l', '-'], {
      input: await manPage(commands),
      env: { PATH: process.env.PATH, LC_ALL: 'C', MANPAGER: 'cat' },
      encoding: 'utf8',
    });
    if (error) context.skip();
    expect(stderr).toBe('');
  });

  it('has a section for every command, and no text that is taken for a request', async () => {
    const page = await manPage(commands);
    for (const { name } of commands) {
      expect(page).toContain(`.SS trace\\-console ${name.replaceAll('-', '\\-')}`);
    }
    const requests = /^\.(TH|SH|SS|B|PP|TP|RS|RE|nf|fi)\b/;
    for (const line of page.split('\n').filter((each) => /^[.']/.test(each))) {
      expect(line).toMatch(requests);
    }
  });
});
