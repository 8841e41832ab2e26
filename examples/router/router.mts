// A router service: other programs ask it which agent should take a prompt, and tell it how that went.
//
//   npm install trace-console
//   DATABASE_URL=postgresql://user@host/db npx tsx router.mts
//
//   curl --json '{"prompt": "The login test is flaky", "agents": [{"name": "tester"}, {"name": "coder"}]}' localhost:8787/decide
//   curl --json '{"correlationId": "…", "outcome": "success", "durationMs": 5300}' localhost:8787/finish
//
// It listens on this machine only and knows no users: put it behind what checks them.
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import pg from 'pg';
import { openRouter, type Decision, type DecisionRequest, type Ending } from 'trace-console/router';

const url = process.env.DATABASE_URL;
if (!url) throw new Error('Set DATABASE_URL.');
const router = await openRouter({ url });
const pool = new pg.Pool({ connectionString: url });

/** Decisions whose end is not known yet; the oldest is forgotten when there are too many. */
const open = new Map<string, Decision>();
const mostOpen = 10_000;

async function decide(request: Omit<DecisionRequest, 'correlationId'>) {
  if (typeof request.prompt !== 'string') throw new Error('A decision needs the text "prompt".');
  const correlationId = randomUUID();
  // The decision belongs to a trace: the turn that begins with it.
  await pool.query(
    `INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text)
     VALUES ($1, $1, gen_random_uuid(), 'user_prompt', $2)`,
    [correlationId, request.prompt],
  );
  const decision = await router.decide({ ...request, correlationId });
  if (!decision) return { correlationId, agent: null, reason: 'nothing known' };
  open.set(correlationId, decision);
  const [oldest] = open.keys();
  if (open.size > mostOpen && oldest !== undefined) open.delete(oldest);
  return decision;
}

async function finish({ correlationId, ...ending }: Ending & { correlationId: string }) {
  // Where nothing was known there is a trace to end, and no decision.
  const decision = open.get(correlationId);
  open.delete(correlationId);
  if (decision) await router.finish(decision, ending);
  const status = ending.outcome === 'failure' ? 'failed' : 'completed';
  const { rowCount } = await pool.query(
    `UPDATE execution_traces SET status = $2 WHERE correlation_id = $1 AND status = 'in_progress'`,
    [correlationId, status],
  );
  return { correlationId, kept: decision !== undefined, ended: rowCount === 1 };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const part of request.setEncoding('utf8')) {
    text += String(part);
    if (text.length > 1_000_000) throw new Error('too long');
  }
  return JSON.parse(text);
}

const server = createServer((request, response) => {
  const answer = (status: number, body: unknown) =>
    response
      .writeHead(status, { 'content-type': 'application/json' })
      .end(`${JSON.stringify(body)}\n`);
  void (async () => {
    try {
      const body = await bodyOf(request);
      if (request.url === '/decide') answer(200, await decide(body as DecisionRequest));
      else if (request.url === '/finish')
        answer(200, await finish(body as Parameters<typeof finish>[0]));
      else answer(404, { error: 'POST /decide or /finish' });
    } catch (error) {
      answer(400, { error: error instanceof Error ? error.message : String(error) });
    }
  })();
});

server.listen(Number(process.env.PORT ?? 8787), '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') {
    console.log(`listening on http://127.0.0.1:${address.port}`);
  }
});
process.once('SIGTERM', () => {
  server.close();
  void Promise.all([router.close(), pool.end()]);
});
