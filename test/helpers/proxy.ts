import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

type Address = { host: string; port: number };
type Pair = { client: Socket; server: Socket; silent: boolean };

/** A proxy on the loopback address between the console and a server, for faults of a network. */
export class Proxy {
  readonly #pairs = new Set<Pair>();
  readonly #server: Server;
  /** Where new connections lead: after a failover elsewhere. */
  target: Address;
  /** New connections are accepted, and nothing of them passes. */
  swallowing = false;
  /** What a client sends with this text in it gets to the server; the answer is lost, and with it the connection. Once. */
  losesAnswerTo: string | undefined;
  /** How many connections clients have begun. */
  accepted = 0;
  /** How often clients have sent something and waited for the server; what they send meanwhile takes no further one. */
  roundTrips = 0;
  #isStalled = false;
  /** Bytes a second from the server, of each connection; 0: as fast as it goes. */
  bytesPerSecond = 0;

  private constructor(server: Server, target: Address) {
    this.#server = server;
    this.target = target;
  }

  static async start(target: Address): Promise<Proxy> {
    const proxy = new Proxy(createServer(), target);
    proxy.#server.on('connection', (client) => proxy.#accept(client, connect(proxy.target)));
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** The URL of a server, through this proxy. */
  through(url: string): string {
    const changed = new URL(url);
    changed.hostname = '127.0.0.1';
    changed.port = String(this.port);
    return changed.href;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** From now on nothing passes on the present connections, in neither direction; TCP stays. */
  silence(): void {
    for (const pair of this.#pairs) pair.silent = true;
  }

  /** The same for the connection that was opened last. */
  silenceNewest(): void {
    const newest = [...this.#pairs].at(-1);
    if (newest) newest.silent = true;
  }

  /** The same for the one that the server knows by this port, `client_port` of pg_stat_activity. */
  silencePort(port: number): void {
    for (const pair of this.#pairs) if (pair.server.localPort === port) pair.silent = true;
  }

  /** Nothing passes while it is stalled, on new connections either; then what was sent meanwhile does. */
  stall(isStalled: boolean): void {
    this.#isStalled = isStalled;
    for (const { client, server } of this.#pairs) {
      for (const socket of [client, server]) {
        if (isStalled) socket.pause();
        else socket.resume();
      }
    }
  }

  /** Resets the present connections. */
  reset(): void {
    for (const { client } of this.#pairs) client.resetAndDestroy();
  }

  /** Tells the clients that nothing more comes, and keeps their connections to the server: half open. */
  halfClose(): void {
    for (const pair of this.#pairs) {
      pair.silent = true;
      pair.client.end();
    }
  }

  async stop(): Promise<void> {
    this.#server.close();
    for (const { client, server } of this.#pairs) {
      client.destroy();
      server.destroy();
    }
    await once(this.#server, 'close');
  }

  #accept(client: Socket, server: Socket): void {
    const pair: Pair = { client, server, silent: this.swallowing };
    this.#pairs.add(pair);
    this.accepted += 1;
    let isAnswerLost = false;
    let isAsked = false;
    client.on('data', (bytes) => {
      if (pair.silent) return;
      if (this.losesAnswerTo !== undefined && bytes.includes(this.losesAnswerTo)) {
        isAnswerLost = true;
        this.losesAnswerTo = undefined;
      }
      isAsked = true;
      server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (pair.silent) return;
      if (isAnswerLost) {
        client.resetAndDestroy();
        return;
      }
      client.write(bytes);
      if (isAsked) this.roundTrips += 1;
      isAsked = false;
      if (this.bytesPerSecond === 0) return;
      server.pause();
      setTimeout(() => server.resume(), (1_000 * bytes.length) / this.bytesPerSecond);
    });
    if (this.#isStalled) {
      client.pause();
      server.pause();
    }
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('error', () => undefined);
      from.on('close', () => {
        // A proxy that swallows does not tell the other side that one has left.
        if (pair.silent) return;
        this.#pairs.delete(pair);
        to.destroy();
      });
    }
  }
}
