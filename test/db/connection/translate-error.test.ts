import { describe, expect, it } from 'vitest';
import { translateError } from '../../../src/db/connection/translate-error.js';

const where = { host: 'h', port: 5432, user: 'u', database: 'd' };
const serverError = (code: string, message: string) => Object.assign(new Error(message), { code });

describe('a server that speaks another language', () => {
  const german = serverError('57014', 'storniere Anfrage wegen Zeitüberschreitung der Anfrage');

  it('is understood by the time that the statement took', () => {
    expect(translateError(german, where, { timedOut: true }).code).toBe('statement_timeout');
    expect(translateError(german, where).code).toBe('interrupted');
    const english = serverError('57014', 'canceling statement due to statement timeout');
    expect(translateError(english, where).code).toBe('interrupted');
  });
});

it('takes an error of the network for none of the server, although EPIPE has five letters', () => {
  expect(translateError(serverError('EPIPE', 'write EPIPE'), where)).toMatchObject({
    code: 'connection_lost',
    sqlState: undefined,
  });
});

it.each([
  ['25P04', 'transaction_timeout'],
  ['25P03', 'idle_in_transaction_session_timeout'],
  ['57P05', 'idle_session_timeout'],
])('names the setting by which a server ends a session (%s)', (state, setting) => {
  expect(translateError(serverError(state, 'terminating connection'), where)).toMatchObject({
    code: 'connection_lost',
    hint: expect.stringContaining(setting) as string,
  });
});
