import { cString, FrameSplitter, int32, readCString } from '../wire/frames.js';

/** The start-up packet by which the engine tells its ParameterStatus values. */
export function startupPacketOf(database: string): Uint8Array {
  const body = Buffer.concat([
    int32(3 << 16),
    ...['user', 'postgres', 'database', database].map(cString),
    Buffer.from([0]),
  ]);
  return new Uint8Array(Buffer.concat([int32(body.length + 4), body]));
}

/** Reads the engine's answer to the start-up packet. */
export function readStatusPacket(answer: Uint8Array): {
  parameters: [string, string][];
  processId: number;
} {
  const splitter = new FrameSplitter(answer.length + 1);
  splitter.push(Buffer.from(answer));
  const parameters: [string, string][] = [];
  let processId = 0;
  for (let frame = splitter.next(); frame !== undefined; frame = splitter.next()) {
    if (frame.type === 'K') processId = frame.bytes.readInt32BE(5);
    if (frame.type !== 'S') continue;
    const name = readCString(frame.bytes, 5);
    const value = readCString(frame.bytes, name.end);
    parameters.push([name.raw.toString('utf8'), value.raw.toString('utf8')]);
  }
  return { parameters, processId };
}
