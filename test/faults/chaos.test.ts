import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { openConsole } from '../e2e/helpers/console.js';
import { showsWhatIsThere } from '../e2e/helpers/plain-figures.js';
import { runOnce } from '../helpers/template.js';
import { Cluster } from './chaos/cluster.js';
import { Traffic } from './chaos/traffic.js';
import { Watcher } from './chaos/watcher.js';

/** Ten for the whole run; `npm run test:faults` takes a minute and a half. Without it the machine is left in peace. */
const minutes = Number(process.env.TRACE_CONSOLE_CHAOS_MINUTES ?? 0);
const tracesPerSecond = 200;
const stallMs = 30_000;
const outageMs = 5_000;
/** How long is waited until all is fresh again after a fault: for ever, but that a test has to end. */
const recoveryMs = 180_000;
const isRoot = process.getuid?.() === 0;

// A disk of its own is mounted by root only.
it.skipIf(minutes === 0 || !isRoot)(
  'consoles show no old figures as new while servers, pooler, network and disk fail under traffic, and no row is lost or doubled',
  async () => {
    const cluster = await Cluster.start();
    const traffic = new Traffic();
    let told: () => string[] = () => [];
    onTestFinished(async () => {
      console.log(told().join('\n'));
      traffic.remove();
      await cluster.stop();
    });
    await traffic.start(cluster.pooledUrl(cluster.trafficLine), tracesPerSecond);
    const size = { cols: 200, rows: 60 };
    const consoles = new Map([
      ['pooled', await openConsole(cluster.pooledUrl(cluster.consoleLine), size)],
      ['by hosts', await openConsole(cluster.hostsUrl, size)],
    ]);
    const watcher = new Watcher(consoles, () => cluster.leader.url('traces'));
    told = () => [...watcher.diary, JSON.stringify(watcher.figures), JSON.stringify(watcher.lies)];

    const tracesHeld = async () => {
      const url = cluster.leader.url('traces');
      const [row] = await runOnce<{ held: number }>(
        url,
        'SELECT count(*)::int AS held FROM execution_traces',
      );
      return row?.held ?? 0;
    };
    const faults: Record<string, () => Promise<unknown>> = {
      'the server is stopped, and started again': async () => {
        await cluster.leader.stop();
        await sleep(outageMs);
        await cluster.leader.start();
      },
      'the pooler is killed, and started again': async () => {
        await cluster.pooler.end('SIGKILL');
        await sleep(outageMs);
        await cluster.pooler.start();
      },
      'nothing passes to the consoles, and for half as long to the traffic': async () => {
        cluster.consoleLine.stall(true);
        await sleep(stallMs / 2);
        cluster.trafficLine.stall(true);
        await sleep(stallMs / 2);
        expect(consoles.get('pooled')?.screen()[0]).not.toContain('● connected');
        cluster.consoleLine.stall(false);
        cluster.trafficLine.stall(false);
      },
      'the disk is full': async () => {
        await cluster.fillDisk();
        await expect
          .poll(() => traffic.log.split('\n').at(-2), { timeout: recoveryMs })
          .toContain('waiting');
        await sleep(outageMs);
        await cluster.freeDisk();
      },
      'the primary is lost, and the standby takes over': () => cluster.failOver(),
    };
    const longMs = stallMs + 4 * outageMs;
    const gapMs = Math.max(3_000, (60_000 * minutes - longMs) / (Object.keys(faults).length + 1));
    for (const [fault, happen] of Object.entries(faults)) {
      await sleep(gapMs);
      watcher.note(fault);
      await happen();
      watcher.note('is over');
      for (const name of consoles.keys()) {
        await expect.poll(() => watcher.isFresh(name), { timeout: recoveryMs }).toBe(true);
        watcher.note(`${name}: all is fresh`);
      }
      expect(traffic.running, traffic.log).toBe(true);
      const before = await tracesHeld();
      await expect.poll(tracesHeld, { timeout: recoveryMs }).toBeGreaterThan(before);
      watcher.note('the traffic goes on');
    }
    await sleep(gapMs);
    const summary = await traffic.end();
    watcher.note('the traffic has ended');
    await watcher.stop();
    const { leader } = cluster;
    const client = new pg.Client({ connectionString: leader.url('traces') });
    await client.connect();
    try {
      for (const driver of consoles.values()) {
        await showsWhatIsThere(driver, (sql) => client.query(sql));
      }
    } finally {
      await client.end();
    }
    const { acknowledged, differences } = await traffic.compare(leader.url('traces'));
    watcher.note(JSON.stringify({ ...summary, acknowledged }));
    expect(Object.entries(differences).filter(([, count]) => count !== 0)).toEqual([]);
    // How many a machine writes is its own affair; so few are no traffic.
    expect(summary.traces).toBeGreaterThan(0.1 * tracesPerSecond * 60 * minutes);
    expect(watcher.lies).toEqual([]);
    expect(watcher.hung).toEqual([]);
    for (const driver of consoles.values()) {
      driver.press('q');
      expect(await driver.waitForExit()).toEqual({ exitCode: 0, signal: 0 });
    }
  },
  60_000 * minutes + 1_500_000,
);
