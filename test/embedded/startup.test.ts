import { expect, test } from 'vitest';
import { ByteQueue, cString, int32, ProtocolViolation } from '../../src/embedded/wire.js';
import { fc, keptSeeds } from '../helpers/seeds.js';
import { controlPacket, parseOptions, readStartupPacket } from '../../src/embedded/mux/greeting.js';

function read(...parts: Buffer[]): ReturnType<typeof readStartupPacket> {
  const queue = new ByteQueue();
  for (const part of parts) queue.push(part);
  return readStartupPacket(queue);
}

function packet(code: number, ...body: Buffer[]): Buffer {
  const rest = Buffer.concat([int32(code), ...body]);
  return Buffer.concat([int32(rest.length + 4), rest]);
}

test('reads the parameters of a session', () => {
  const bytes = packet(
    3 << 16,
    ...['user', 'postgres', 'options', '-c a=b'].map(cString),
    Buffer.alloc(1),
  );
  expect(read(bytes.subarray(0, 7))).toBeUndefined();
  expect(read(bytes.subarray(0, 12))).toBeUndefined();
  expect(read(bytes)).toEqual({
    kind: 'session',
    minor: 0,
    parameters: new Map([
      ['user', 'postgres'],
      ['options', '-c a=b'],
    ]),
  });
});

test('tells requests for encryption, cancelling and control apart', () => {
  expect(read(packet(80_877_103))).toEqual({ kind: 'encryption' });
  expect(read(packet(80_877_104))).toEqual({ kind: 'encryption' });
  expect(read(packet(80_877_102, int32(7), int32(8)))).toEqual({
    kind: 'cancel',
    processId: 7,
    secret: 8,
  });
  expect(read(controlPacket('{"op":"status"}'))).toEqual({
    kind: 'control',
    request: '{"op":"status"}',
  });
});

test('refuses what is no start-up packet, whatever the bytes', () => {
  expect(() => read(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toThrow(ProtocolViolation);
  expect(() => read(packet(2 << 16))).toThrow(ProtocolViolation);
  expect(() => read(packet(3 << 16, Buffer.from('user\0no end')))).toThrow(ProtocolViolation);
  for (const seed of keptSeeds) {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          read(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolViolation);
        }
      }),
      { seed, numRuns: 1000 },
    );
  }
});

test('reads settings from the options parameter as a server does', () => {
  expect([...parseOptions('-c work_mem=5MB  -csearch_path=a\\ b --statement-timeout=5s')]).toEqual([
    ['work_mem', '5MB'],
    ['search_path', 'a b'],
    ['statement_timeout', '5s'],
  ]);
  expect(() => parseOptions('-x')).toThrow(ProtocolViolation);
  expect(() => parseOptions('-c work_mem')).toThrow(ProtocolViolation);
});
