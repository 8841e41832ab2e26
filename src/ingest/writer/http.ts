import { readNumber } from '../../core/values.js';
import type { TraceRecording } from './recorded.js';
import type { Call, CallOptions, HttpOptions, Middleware, TraceOptions } from './types.js';

/** What requests need of the tracer. */
type HttpTracer = {
  startTrace(options: TraceOptions): TraceRecording;
  startCall(options: CallOptions): Call & { owner: TraceRecording };
  safely(work: () => void): void;
};

/** `fetch` that passes the current trace on and writes a row for each call. */
export function tracedFetch(tracer: HttpTracer): typeof globalThis.fetch {
  return async (input, init) => {
    const request = typeof input === 'object' && 'headers' in input ? input : undefined;
    const url = request ? request.url : (input as string | URL).toString();
    const method = init?.method ?? request?.method ?? 'GET';
    const call = tracer.startCall({ service: hostOf(url), url, method });
    let passed = init;
    tracer.safely(() => {
      const headers = new Headers(init?.headers ?? request?.headers);
      for (const [name, value] of Object.entries(call.owner.headers())) {
        if (!headers.has(name)) headers.set(name, value);
      }
      passed = { ...init, headers };
    });
    try {
      const response = await globalThis.fetch(input, passed);
      call.set({
        statusCode: response.status,
        ...bytesOf('responseBytes', response.headers.get('content-length')),
      });
      call.end();
      return response;
    } catch (error) {
      call.end({ error: causeOf(error) });
      throw error;
    }
  };
}

/** `fetch` says "fetch failed"; why is in its cause. */
const causeOf = (error: unknown): unknown =>
  error instanceof TypeError && error.cause !== undefined ? error.cause : error;

function bytesOf(name: 'responseBytes', header: string | null): { responseBytes?: number } {
  return header !== null && /^\d{1,15}$/.test(header) ? { [name]: readNumber(header) } : {};
}

function hostOf(url: string): string {
  try {
    return new URL(url).host;
  } catch {
    return 'unknown';
  }
}

const promptOf = ({ prompt }: HttpOptions, method: string, url: string): string | undefined =>
  prompt ? prompt({ method, url }) : `${method} ${url.replace(/[?#].*$/, '')}`;

const lowestFailure = 500;

function endWith(trace: TraceRecording, statusCode: number, isAborted: boolean): void {
  trace.set({ context: { http: { status_code: statusCode } } });
  if (isAborted) trace.end({ status: 'cancelled' });
  else if (statusCode >= lowestFailure) {
    trace.end({ error: new StatusError(statusCode) });
  } else trace.end();
}

class StatusError extends Error {
  override readonly name: string;

  constructor(statusCode: number) {
    super(`answered with ${statusCode}`);
    this.name = `http_${statusCode}`;
  }
}

export function requestMiddleware(tracer: HttpTracer, options: HttpOptions): Middleware {
  return (request, response, next) => {
    let trace: TraceRecording | undefined;
    tracer.safely(() => {
      const prompt = promptOf(options, request.method ?? 'GET', request.url ?? '/');
      if (prompt === undefined) return;
      const started = tracer.startTrace({ prompt, source: 'http_request', from: request.headers });
      trace = started;
      response.once('close', () =>
        endWith(started, response.statusCode, !response.writableFinished),
      );
      if (!response.headersSent) response.setHeader('X-Correlation-ID', started.correlationId);
    });
    if (trace === undefined) next();
    else trace.run(() => next());
  };
}

export function requestHandler<Args extends unknown[]>(
  tracer: HttpTracer,
  handle: (request: Request, ...args: Args) => Response | Promise<Response>,
  options: HttpOptions,
): (request: Request, ...args: Args) => Promise<Response> {
  return async (request, ...args) => {
    let trace: TraceRecording | undefined;
    tracer.safely(() => {
      const { pathname } = new URL(request.url);
      const prompt = promptOf(options, request.method, pathname);
      if (prompt === undefined) return;
      trace = tracer.startTrace({ prompt, source: 'http_request', from: request.headers });
    });
    const started = trace;
    if (started === undefined) return handle(request, ...args);
    try {
      const response = await started.run(async () => handle(request, ...args));
      endWith(started, response.status, false);
      tracer.safely(() => {
        try {
          response.headers.set('x-correlation-id', started.correlationId);
        } catch {
          // Of an answer that is passed on, they cannot be changed.
        }
      });
      return response;
    } catch (error) {
      started.end({ error });
      throw error;
    }
  };
}
