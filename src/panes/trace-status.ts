import type { Tone } from './pane.js';

const statusTones: Readonly<Partial<Record<string, Tone>>> = {
  completed: 'success',
  in_progress: 'running',
  failed: 'error',
  timeout: 'error',
  cancelled: 'warning',
};

export function statusTone(status: string | null): Tone | undefined {
  return status === null ? undefined : statusTones[status];
}

/** Failed is everywhere: status failed or timeout. */
export function isFailure(status: string): boolean {
  return status === 'failed' || status === 'timeout';
}
