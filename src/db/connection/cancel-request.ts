import net from 'node:net';

/** From the server's BackendKeyData message. */
export type CancelKey = { processId: number; secret: number };

const cancelRequestCode = 80_877_102;

/**
 * Sends a CancelRequest over a connection of its own, as the protocol has it; the server closes it
 * without an answer. Source: https://www.postgresql.org/docs/current/protocol-flow.html
 */
export function sendCancelRequest(
  address: { host: string; port: number },
  { processId, secret }: CancelKey,
): Promise<void> {
  const message = Buffer.alloc(16);
  message.writeInt32BE(16, 0);
  message.writeInt32BE(cancelRequestCode, 4);
  message.writeInt32BE(processId, 8);
  message.writeInt32BE(secret, 12);
  const { host, port } = address;
  return new Promise((resolve, reject) => {
    const socket = host.startsWith('/')
      ? net.connect({ path: `${host}/.s.PGSQL.${port}` })
      : net.connect({ host, port });
    socket.on('connect', () => socket.end(message));
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.resume();
  });
}
