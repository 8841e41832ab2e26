import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished, describe, expect, test } from 'vitest';
import {
  chooseEmbedder,
  endpointEmbedder,
  localEmbedder,
} from '../../../src/learning/embedding/choose.js';
import { runCli } from '../../helpers/cli.js';
import { createTestDatabase } from '../../helpers/database.js';
import { addTurn } from '../helpers.js';
import { vectorText, hashEmbedding } from '../../../src/learning/embedding/embedder.js';

function cosine(one: Float32Array, other: Float32Array): number {
  return one.reduce((sum, value, index) => sum + value * (other[index] ?? 0), 0);
}

describe('the built-in embedding', () => {
  test('is of length 1, equal for equal texts, and near for texts that share words', () => {
    const text = 'Fix the failing login test';
    const vector = hashEmbedding(text);
    expect(vector).toHaveLength(1536);
    expect(cosine(vector, vector)).toBeCloseTo(1, 5);
    expect(hashEmbedding(text)).toEqual(vector);
    expect(cosine(vector, hashEmbedding('the login tests fail, fix them'))).toBeGreaterThan(0.5);
    expect(Math.abs(cosine(vector, hashEmbedding('Write the changelog of March')))).toBeLessThan(
      0.25,
    );
  });

  test('does not change from one version to the next: patterns are stored with it', () => {
    const vector = hashEmbedding('Add an endpoint for refunds');
    const filled = [...vector.entries()].filter(([, value]) => value !== 0);
    expect(filled.length).toMatchInlineSnapshot(`50`);
    expect(filled.slice(0, 3).map(([index, value]) => [index, value.toFixed(4)]))
      .toMatchInlineSnapshot(`
      [
        [
          50,
          "-0.1060",
        ],
        [
          96,
          "0.0891",
        ],
        [
          119,
          "-0.0891",
        ],
      ]
    `);
  });

  test('of an empty text has no direction', () => {
    expect(hashEmbedding('').every((value) => value === 0)).toBe(true);
    expect(vectorText(hashEmbedding(''))).toHaveLength(2 * 1536 + 1);
  });
});

type Asked = {
  input: string[];
  dimensions?: number;
  model: string;
  authorization: string | undefined;
};
type Answer = { status: number; body: unknown; headers?: Record<string, string> };

/** An endpoint on a real socket; `answer` gives what each request gets. */
async function endpoint(answer: (asked: Asked, nth: number) => Answer) {
  const requests: Asked[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => (text += part));
    request.on('end', () => {
      const asked = {
        ...(JSON.parse(text) as Asked),
        authorization: request.headers.authorization,
      };
      requests.push(asked);
      const { status, body, headers } = answer(asked, requests.length);
      response.writeHead(status, { 'content-type': 'application/json', ...headers });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, requests };
}

/** In the wrong order, as the protocol allows. */
function embeddings(asked: Asked, dimensions: number): Answer {
  const data = asked.input.map((text, index) => ({
    index,
    embedding: Array.from({ length: dimensions }, (_, at) => (at === text.length ? 2 : 0)),
  }));
  return { status: 200, body: { data: data.reverse(), usage: { prompt_tokens: 7 } } };
}

const options = { model: 'test-model', firstPauseMs: 1 };

describe('an endpoint', () => {
  test('is asked in batches for 1536 dimensions; vectors keep the order of the texts', async () => {
    const { url, requests } = await endpoint((asked) => embeddings(asked, 1536));
    const embedder = endpointEmbedder({ ...options, url, key: 'secret' });
    const texts = Array.from({ length: 200 }, (_, index) => 'x'.repeat(index + 1));
    const vectors = await embedder.embed(texts);
    expect(requests.map(({ input }) => input.length)).toEqual([96, 96, 8]);
    expect(requests[0]).toMatchObject({
      dimensions: 1536,
      model: 'test-model',
      authorization: 'Bearer secret',
    });
    expect(vectors).toHaveLength(200);
    for (const [index, vector] of vectors.entries()) expect(vector[index + 1]).toBe(1);
    expect(embedder.usage()).toEqual({ texts: 200, tokens: 21, costUsd: null });
  });

  test('that refuses dimensions is asked without, and shorter vectors are filled up', async () => {
    const { url, requests } = await endpoint((asked) =>
      asked.dimensions === undefined
        ? embeddings(asked, 384)
        : { status: 400, body: { error: { message: 'this model has no parameter dimensions' } } },
    );
    const embedder = endpointEmbedder({ ...options, url });
    const [first, second] = [await embedder.embed(['ab']), await embedder.embed(['abc'])];
    expect(first[0]?.[2]).toBe(1);
    expect(second[0]).toHaveLength(1536);
    expect(requests.map(({ dimensions }) => dimensions)).toEqual([1536, undefined, undefined]);
  });

  test('of more dimensions is refused with a clear word', async () => {
    const { url } = await endpoint((asked) => embeddings(asked, 3072));
    await expect(endpointEmbedder({ ...options, url }).embed(['a'])).rejects.toThrow(
      /gives 3072 dimensions; the schema stores 1 to 1536/,
    );
  });

  test('that is busy is asked again; one that refuses is not', async () => {
    const busy = await endpoint((asked, nth) =>
      nth < 3
        ? { status: nth === 1 ? 429 : 503, body: '', headers: { 'retry-after': '0' } }
        : embeddings(asked, 8),
    );
    await endpointEmbedder({ ...options, url: busy.url }).embed(['a']);
    expect(busy.requests).toHaveLength(3);
    const closed = await endpoint(() => ({ status: 401, body: 'who are you' }));
    const error: unknown = await endpointEmbedder({
      ...options,
      url: closed.url,
      key: 'top-secret',
    })
      .embed(['a'])
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ hint: 'Set TRACE_CONSOLE_EMBEDDING_KEY.' });
    expect(String(error)).not.toContain('top-secret');
    expect(closed.requests).toHaveLength(1);
  });

  test('that asks to wait is waited for, and given up where it asks for too long', async () => {
    const inASecond = new Date(Date.now() + 1_000).toUTCString();
    const dated = await endpoint((asked, nth) =>
      nth === 1
        ? { status: 429, body: '', headers: { 'retry-after': inASecond } }
        : embeddings(asked, 8),
    );
    const said: string[] = [];
    const waits = (line: string) => void said.push(line);
    await endpointEmbedder({ ...options, url: dated.url, waits }).embed(['a']);
    expect(dated.requests).toHaveLength(2);
    expect(said).toEqual([
      expect.stringMatching(/^127\.0\.0\.1:\d+ answered 429: asked again in \d/) as string,
    ]);
    const full = await endpoint(() => ({
      status: 429,
      body: '',
      headers: { 'retry-after': '86400' },
    }));
    await expect(
      endpointEmbedder({ ...options, url: full.url }).embed(['a']),
    ).rejects.toMatchObject({
      message: expect.stringMatching(
        /answered 429 and asks to wait 1d00h, until \d{4}-\d\d-\d\d \d\d:\d\d UTC\.$/,
      ) as string,
      hint: expect.stringMatching(/fewer requests/) as string,
      cause: { askedMs: 86_400_000 },
    });
    expect(full.requests).toHaveLength(1);
  });

  test('that fails while somebody waits is asked twice only', async () => {
    const { url, requests } = await endpoint(() => ({ status: 500, body: '' }));
    await expect(
      endpointEmbedder({ ...options, url, isBrief: true }).embed(['a']),
    ).rejects.toMatchObject({ hint: expect.stringMatching(/failed by itself/) as string });
    expect(requests).toHaveLength(2);
  });

  test('that gives one text twice, vectors of two lengths, half an answer or no end of one is an error', async () => {
    const vector = (index: number, length: number) => ({
      index,
      embedding: Array.from({ length }, () => 1),
    });
    const of = async (body: unknown) => {
      const { url } = await endpoint(() => ({ status: 200, body }));
      return endpointEmbedder({ ...options, url }).embed(['a', 'b']);
    };
    await expect(of({ data: [vector(0, 2), vector(0, 2)] })).rejects.toThrow(/some twice/);
    await expect(of({ data: [vector(0, 2), vector(1, 3)] })).rejects.toThrow(/different lengths/);
    await expect(of('{"data": [{"index": 0, "embedding": [0.1, ')).rejects.toThrow(
      /something else/,
    );
    await expect(of('1'.repeat(33 * 1024 * 1024))).rejects.toThrow(/over 32 MB/);
    expect(await of({ data: [vector(0, 2), vector(1, 2)] })).toHaveLength(2);
  });

  test('gets whole characters only, and stops when it is interrupted', async () => {
    const stop = new AbortController();
    const { url, requests } = await endpoint((asked, nth) => {
      if (nth === 2) stop.abort();
      return nth === 1 ? embeddings(asked, 8) : { status: 503, body: '' };
    });
    const embedder = endpointEmbedder({ ...options, url });
    await embedder.embed([`${'x'.repeat(7_999)}\u{1f600}`, 'a\ud83d']);
    expect(requests[0]?.input).toEqual(['x'.repeat(7_999), 'a\ufffd']);
    await expect(embedder.embed(['a'], stop.signal)).rejects.toMatchObject({ code: 'interrupted' });
  });

  test('that gives nonsense is an error, not a vector', async () => {
    const { url } = await endpoint((_, nth) => ({
      status: 200,
      body: nth === 1 ? '<html>' : { data: [{ index: 0, embedding: ['1'] }] },
    }));
    const embedder = endpointEmbedder({ ...options, url });
    await expect(embedder.embed(['a'])).rejects.toThrow(/something else than embeddings/);
    await expect(embedder.embed(['a'])).rejects.toThrow(/something else than embeddings/);
  });

  test('of a known model says what it costs', async () => {
    const { url } = await endpoint((asked) => ({
      status: 200,
      body: { ...(embeddings(asked, 8).body as object), usage: { prompt_tokens: 1_000_000 } },
    }));
    const embedder = endpointEmbedder({ url, model: 'text-embedding-3-small' });
    await embedder.embed(['a']);
    expect(embedder.usage()).toEqual({ texts: 1, tokens: 1_000_000, costUsd: 0.02 });
  });
});

describe('a local model', () => {
  test('is run by the package that is found, without a network', async () => {
    const env = { allowRemoteModels: true, localModelPath: '' };
    const opened: string[] = [];
    const embedder = localEmbedder('/models/mini', () =>
      Promise.resolve({
        env,
        pipeline: (task: string, model: string) => {
          opened.push(`${task} ${model}`);
          return Promise.resolve((texts: string[]) =>
            Promise.resolve({ tolist: () => texts.map(({ length }) => [length, 0, 0]) }),
          );
        },
      }),
    );
    const vectors = await embedder.embed(['a', 'bb']);
    expect(vectors.map((vector) => vector[0])).toEqual([1, 1]);
    expect(env).toEqual({ allowRemoteModels: false, localModelPath: '/models' });
    expect(opened).toEqual(['feature-extraction mini']);
    expect(embedder.model).toBe('local:mini');
  });

  test('is found where the command is run, in a package that is installed there', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'trace-console-local-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const at = join(folder, 'node_modules/@huggingface/transformers');
    mkdirSync(at, { recursive: true });
    mkdirSync(join(folder, 'models/mini'), { recursive: true });
    writeFileSync(
      join(folder, 'models/mini/config.json'),
      '{"letters": "abcdefghijklmnopqrstuvwxyz"}',
    );
    writeFileSync(
      join(at, 'package.json'),
      '{"name": "@huggingface/transformers", "version": "3.0.0", "type": "module", "exports": "./index.js"}',
    );
    // A package of the same shape, whose model counts letters: no model can be downloaded where tests run.
    writeFileSync(
      join(at, 'index.js'),
      `import { readFileSync } from 'node:fs';
export const env = { allowRemoteModels: true, localModelPath: '/models/' };
export async function pipeline(task, model) {
  if (task !== 'feature-extraction' || env.allowRemoteModels) throw new Error('it would be downloaded');
  const { letters } = JSON.parse(readFileSync(env.localModelPath + '/' + model + '/config.json', 'utf8'));
  return async (texts) => ({ tolist: () => texts.map((text) => [...letters].map((letter) => text.split(letter).length - 1)) });
}
`,
    );
    const database = await createTestDatabase();
    await addTurn(database, 'Paint the fence behind the house', 'painter', true);
    const run = (...args: string[]) => runCli([...args, '--url', database.url], { cwd: folder });
    const local = ['--embedding', 'local:models/mini'];
    expect(await run('learn', '--min-turns', '1', ...local)).toMatchObject({ exitCode: 0 });
    const { rows } = await database.query('SELECT embedding_model AS model FROM success_patterns');
    expect(rows).toEqual([{ model: 'local:mini' }]);
    const found = await run('suggest', 'Paint the fence behind the house', ...local, '--json');
    expect(JSON.parse(found.stdout)).toMatchObject({
      model: 'local:mini',
      recommendation: { agent: 'painter' },
    });
    const gone = await run('suggest', 'Paint the fence', '--embedding', 'local:models/none');
    expect(gone.stderr).toContain('There is no usable model in');
  });

  test('says which package it needs', async () => {
    await expect(localEmbedder('/models/mini').embed(['a'])).rejects.toMatchObject({
      code: 'usage',
      hint: expect.stringContaining('npm install @huggingface/transformers') as string,
    });
  });
});

test('the choice comes from flags, then from the environment, and is checked', () => {
  expect(chooseEmbedder({}, {}).model).toBe('hash-1');
  const environment = {
    TRACE_CONSOLE_EMBEDDING: 'http://127.0.0.1:1/v1',
    TRACE_CONSOLE_EMBEDDING_MODEL: 'one',
  };
  expect(chooseEmbedder({}, environment).model).toBe('one');
  expect(chooseEmbedder({ embedding: 'hash' }, environment).model).toBe('hash-1');
  expect(chooseEmbedder({ embedding: 'local:/x/y' }, {}).model).toBe('local:y');
  expect(() => chooseEmbedder({ embedding: 'http://127.0.0.1:1/v1' }, {})).toThrow(/Which model/);
  expect(() => chooseEmbedder({ embedding: 'openai' }, {})).toThrow(/no embedding "openai"/);
  for (const embedding of ['http://', 'https://host:port/v1', 'local:', 'file:///etc/passwd']) {
    expect(() => chooseEmbedder({ embedding, model: 'm' }, {}), embedding).toThrow(/no embedding/);
  }
  const withPassword = { embedding: 'https://me:secret@host/v1', model: 'm' };
  expect(() => chooseEmbedder(withPassword, {})).toThrow(/no user and no password/);
});
