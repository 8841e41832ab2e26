/** What is called over HTTP, and how it behaves on a good day. */
export type Service = {
  name: string;
  method: 'GET' | 'POST' | 'PATCH';
  urls: readonly string[];
  /** Median, ms, and the spread of its logarithm. */
  latencyMs: number;
  sigma: number;
  /** Share of calls that fail although all is well. */
  failureRate: number;
  /** Ways to fail: the answer, or none at all (null: time-out or broken connection). */
  failures: readonly Failure[];
  requestBytes: number;
  responseBytes: number;
};

export type Failure = {
  weight: number;
  statusCode: number | null;
  errorType: string;
  message: string;
};

const overloaded: readonly Failure[] = [
  {
    weight: 5,
    statusCode: 429,
    errorType: 'RateLimitError',
    message: 'Rate limit reached for tokens per minute; retry after {n} s',
  },
  {
    weight: 3,
    statusCode: 529,
    errorType: 'OverloadedError',
    message: 'The service is overloaded',
  },
  {
    weight: 2,
    statusCode: null,
    errorType: 'UpstreamTimeout',
    message: 'No answer within {n}000 ms',
  },
];

const unreachable: readonly Failure[] = [
  {
    weight: 4,
    statusCode: 503,
    errorType: 'ServiceUnavailable',
    message: 'no healthy upstream',
  },
  {
    weight: 3,
    statusCode: null,
    errorType: 'ConnectionReset',
    message: 'read ECONNRESET',
  },
  {
    weight: 2,
    statusCode: 504,
    errorType: 'UpstreamTimeout',
    message: 'upstream request timeout after {n} s',
  },
  {
    weight: 1,
    statusCode: 500,
    errorType: 'InternalServerError',
    message: 'internal error, request {n}',
  },
];

export const services = {
  anthropic: {
    name: 'anthropic-api',
    method: 'POST',
    urls: ['https://api.anthropic.com/v1/messages'],
    latencyMs: 1_500,
    sigma: 0.6,
    failureRate: 0.008,
    failures: overloaded,
    requestBytes: 48_000,
    responseBytes: 6_000,
  },
  openai: {
    name: 'openai-api',
    method: 'POST',
    urls: ['https://api.openai.com/v1/responses'],
    latencyMs: 1_700,
    sigma: 0.65,
    failureRate: 0.01,
    failures: overloaded,
    requestBytes: 44_000,
    responseBytes: 7_000,
  },
  vertex: {
    name: 'vertex-api',
    method: 'POST',
    urls: [
      'https://europe-west4-aiplatform.googleapis.com/v1/projects/acme/locations/europe-west4/publishers/google/models/gemini-2.5-pro:generateContent',
    ],
    latencyMs: 1_400,
    sigma: 0.6,
    failureRate: 0.009,
    failures: overloaded,
    requestBytes: 40_000,
    responseBytes: 6_500,
  },
  embeddings: {
    name: 'embedding-service',
    method: 'POST',
    urls: ['http://embedding-service.internal:8080/v1/embeddings'],
    latencyMs: 38,
    sigma: 0.5,
    failureRate: 0.003,
    failures: unreachable,
    requestBytes: 900,
    responseBytes: 33_000,
  },
  rag: {
    name: 'rag-service',
    method: 'POST',
    urls: [
      'http://rag-service.internal:8055/rag/query',
      'http://rag-service.internal:8055/rag/code-examples',
    ],
    latencyMs: 140,
    sigma: 0.7,
    failureRate: 0.01,
    failures: unreachable,
    requestBytes: 1_200,
    responseBytes: 18_000,
  },
  intelligence: {
    name: 'intelligence-service',
    method: 'POST',
    urls: [
      'http://intelligence-service.internal:8053/assess/code',
      'http://intelligence-service.internal:8053/patterns/extract',
    ],
    latencyMs: 210,
    sigma: 0.8,
    failureRate: 0.012,
    failures: unreachable,
    requestBytes: 9_000,
    responseBytes: 4_000,
  },
  github: {
    name: 'github-api',
    method: 'GET',
    urls: [
      'https://api.github.com/repos/acme/{project}/pulls',
      'https://api.github.com/repos/acme/{project}/actions/runs',
      'https://api.github.com/repos/acme/{project}/contents/src',
    ],
    latencyMs: 180,
    sigma: 0.55,
    failureRate: 0.012,
    failures: [
      {
        weight: 3,
        statusCode: 404,
        errorType: 'NotFound',
        message: 'Not Found: /repos/acme/… has no such ref',
      },
      {
        weight: 2,
        statusCode: 403,
        errorType: 'SecondaryRateLimit',
        message: 'You have exceeded a secondary rate limit',
      },
      ...unreachable.slice(0, 2),
    ],
    requestBytes: 400,
    responseBytes: 24_000,
  },
  registry: {
    name: 'package-registry',
    method: 'GET',
    urls: [
      'https://registry.acme.example/{project}/manifest',
      'https://registry.acme.example/-/advisories',
    ],
    latencyMs: 95,
    sigma: 0.6,
    failureRate: 0.01,
    failures: unreachable,
    requestBytes: 300,
    responseBytes: 60_000,
  },
} as const satisfies Record<string, Service>;

const byName = new Map<string, Service>(
  Object.values(services).map((service) => [service.name, service]),
);

export function serviceNamed(name: string): Service {
  const service = byName.get(name);
  if (!service) throw new RangeError(`There is no service ${name}.`);
  return service;
}
