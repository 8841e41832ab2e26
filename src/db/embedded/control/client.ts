import net from 'node:net';
import { socketFile } from '../folder/paths.js';
import type { Progress } from '../folder/template.js';
import { controlPacket } from '../wire/startup.js';
import { controlProtocol, type ControlAnswer, type ControlRequest } from './protocol.js';

/** Nobody answers at the socket: the daemon is not there, or not yet, or no longer. */
export class NoDaemon extends Error {
  override readonly name = 'NoDaemon';
}

/**
 * Asks the daemon at a socket folder. Progress comes as it is reported; the promise settles with
 * the last answer.
 * @param patienceMs how long no answer at all may come.
 */
export function askDaemon(
  socketFolder: string,
  op: ControlRequest['op'],
  onProgress: Progress = () => undefined,
  patienceMs = 30_000,
): Promise<Exclude<ControlAnswer, { kind: 'progress' }>> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path: socketFile(socketFolder) });
    let text = '';
    const fail = (error: Error): void => {
      socket.destroy();
      reject(new NoDaemon(`the embedded database does not answer: ${error.message}`));
    };
    socket.setTimeout(patienceMs, () => fail(new Error(`no answer within ${patienceMs} ms`)));
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the connection ended')));
    socket.on('connect', () => {
      const request: ControlRequest = { op, protocol: controlProtocol };
      socket.write(controlPacket(JSON.stringify(request)));
    });
    socket.on('data', (piece) => {
      text += piece.toString('utf8');
      for (let line = text.indexOf('\n'); line >= 0; line = text.indexOf('\n')) {
        const answer = JSON.parse(text.slice(0, line)) as ControlAnswer;
        text = text.slice(line + 1);
        if (answer.kind === 'progress') {
          const { message, done, total } = answer;
          onProgress({
            message,
            ...(done === undefined ? {} : { done }),
            ...(total === undefined ? {} : { total }),
          });
        } else {
          resolve(answer);
          socket.destroy();
        }
      }
    });
  });
}
