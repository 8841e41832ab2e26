import net from 'node:net';

const sslRequest = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

/** Whether a PostgreSQL server answers there: it replies S or N to a request for TLS. */
export function answersAsPostgres(host: string, port: number, timeoutMs = 500): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(false));
    socket.on('connect', () => socket.write(sslRequest));
    socket.on('data', (data) => finish(data[0] === 0x53 || data[0] === 0x4e));
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
  });
}
