/** Chats of Gemini CLI, as it writes them. */

export type Line = Record<string, unknown>;

const startMs = 1_790_000_000_000;
let second = 0;

const time = () => {
  second += 1;
  return new Date(startMs + second * 1_000).toISOString();
};

export const header = (session: string): Line => ({
  sessionId: session,
  projectHash: 'abc',
  startTime: time(),
  lastUpdated: time(),
  kind: 'main',
});

export const user = (id: string, text: string): Line => ({
  id,
  timestamp: time(),
  type: 'user',
  content: [{ text }],
});

export const answer = (id: string, fields: Line): Line => ({
  id,
  timestamp: time(),
  type: 'gemini',
  content: '',
  thoughts: [],
  model: 'gemini-3-pro',
  ...fields,
});

const tokens = { input: 1_000, output: 50, cached: 600, thoughts: 20, tool: 0, total: 1_070 };

const call = (id: string, name: string, args: Line, status = 'success'): Line => ({
  id,
  name,
  args,
  status,
  timestamp: time(),
  result: [
    {
      functionResponse: {
        id,
        name,
        response: status === 'error' ? { error: 'File not found: b.ts' } : { output: 'ok' },
      },
    },
  ],
});

/** A session: messages that call tools are written again when these have ended. */
export function chat(session: string): Line[] {
  const list = call('t1', 'list_directory', { path: '.' });
  const calling = answer('m1', { tokens: null });
  const reading = answer('m2', { tokens });
  const again = [call('t3', 'list_directory', { path: '.' }), call('t4', 'glob', { pattern: '*' })];
  return [
    header(session),
    user('u1', 'List the files\nof the shop'),
    calling,
    { $set: { lastUpdated: time() } },
    { ...calling, tokens },
    { ...calling, tokens, toolCalls: [list] },
    reading,
    { ...reading, toolCalls: [call('t2', 'read_file', { path: 'b.ts' }, 'error')] },
    user('u2', 'And again'),
    answer('m3', { tokens, toolCalls: again }),
  ];
}
