import fs from 'node:fs';
import path from 'node:path';
import { ClaudeLines, text, toolUse, usage } from '../../test/ingest/claude-lines.js';

const root = path.join(import.meta.dirname, '../..');

/** What tools answer with: the source of this repository, which has the words and the shapes of code. */
const source = ['src/ingest', 'src/db', 'src/panes', 'docs']
  .flatMap((folder) =>
    fs
      .readdirSync(path.join(root, folder))
      .filter((name) => /\.(ts|md)$/.test(name))
      .map((name) => fs.readFileSync(path.join(root, folder, name), 'utf8')),
  )
  .join('\n');

/** Numbers that look like chance and are the same in every run. */
class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * limit);
  }

  pieceOf(length: number): string {
    const start = this.below(source.length - length);
    return source.slice(start, start + length).toWellFormed();
  }
}

/**
 * Writes sessions as Claude Code does, turn by turn, until the folder holds so many bytes.
 *
 * @returns bytes that were written
 */
export function writeSessions(
  folder: string,
  bytes: number,
  { sessionBytes = 3 * 2 ** 20, seed = 1 } = {},
): number {
  fs.mkdirSync(folder, { recursive: true });
  let written = 0;
  for (let number = 0; written < bytes; number += 1) {
    const chance = new Chance(seed * 1_000_003 + number);
    const digits = `${seed}${String(number).padStart(6, '0')}`.padStart(12, '0');
    const session = `0d2f7c55-6f0e-4e0d-9a55-${digits}`;
    const file = path.join(folder, `${session}.jsonl`);
    const limit = Math.min(sessionBytes, bytes - written);
    let size = 0;
    for (let turn = 0; size < limit; turn += 1) {
      const startMs = 1_780_000_000_000 + number * 3_600_000 + turn * 120_000;
      const content = turnOf(chance, { session, startMs }, turn);
      fs.appendFileSync(file, content);
      size += Buffer.byteLength(content);
    }
    written += size;
  }
  return written;
}

/** A prompt, 12 model calls on two lines each, and 11 tool calls, of which one fails. */
function turnOf(
  chance: Chance,
  options: { session: string; startMs: number },
  turn: number,
): string {
  const lines = new ClaudeLines({ ...options, cwd: `/home/dev/project-${turn % 7}` });
  const name = `${options.session.slice(-12)}-${turn}`;
  lines.prompt(`Look at this and mend it: ${chance.pieceOf(300)}`, `prompt-${name}`);
  for (let call = 0; call < 12; call += 1) {
    const message = `msg_${name}-${call}`;
    const tokens = usage({ input: 4, read: 20_000 + chance.below(90_000), write1h: 800 });
    lines.assistant(message, [text(chance.pieceOf(200 + chance.below(600)))], { usage: tokens });
    if (call === 11) {
      lines.assistant(message, [text('Done.')], {
        usage: { ...tokens, output_tokens: 200 },
        stop_reason: 'end_turn',
      });
      break;
    }
    const id = `toolu_${name}-${call}`;
    const [tool, input] = toolOf(chance, call);
    lines.assistant(message, [toolUse(id, tool, input)], {
      usage: { ...tokens, output_tokens: 300 },
      stop_reason: 'tool_use',
    });
    // Most answers are short, a few are long files; each stands twice on its line.
    const answer = chance.pieceOf(call % 4 === 0 ? 9_000 : 500 + chance.below(3_500));
    const told =
      tool === 'Bash'
        ? { stdout: answer, stderr: '', interrupted: false, isImage: false }
        : { type: 'text', file: { filePath: '/home/dev/project/src/pay.ts', content: answer } };
    if (call === 7) lines.result(id, `Exit code 1\n${answer}`, true);
    else lines.result(id, answer, false, told);
  }
  lines.turnDuration(60_000);
  return lines.toString();
}

function toolOf(chance: Chance, call: number): [string, object] {
  const file = '/home/dev/project/src/pay.ts';
  if (call % 3 === 0) return ['Bash', { command: 'npm test', description: 'Run the tests' }];
  if (call % 3 === 1) return ['Read', { file_path: file }];
  const piece = chance.pieceOf(600);
  return ['Edit', { file_path: file, old_string: piece, new_string: chance.pieceOf(600) }];
}
