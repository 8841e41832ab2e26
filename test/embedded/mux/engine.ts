import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Engine } from '../../../src/embedded/engine/engine.js';
import { unpackTemplate } from '../../../src/embedded/folder/template.js';
import type { Limits } from '../../../src/embedded/mux/limits.js';
import { Multiplexer } from '../../../src/embedded/mux/multiplexer.js';
import { testPrograms } from '../programs.js';

/** A multiplexer with a real engine in this process, on a folder of its own. */
export async function startMultiplexer(limits: Partial<Limits> = {}): Promise<{
  multiplexer: Multiplexer;
  log: string[];
  stop: () => Promise<void>;
}> {
  const programs = await testPrograms();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trace-console-engine-'));
  const postgres = path.join(folder, 'postgres');
  await unpackTemplate(programs.template ?? '', postgres, () => undefined);
  const log: string[] = [];
  const multiplexer = new Multiplexer({
    startEngine: () => Engine.start(programs.worker, postgres),
    log: (line) => log.push(line),
    limits,
  });
  await multiplexer.start();
  const timer = setInterval(() => multiplexer.tick(), 50);
  const stop = async (): Promise<void> => {
    clearInterval(timer);
    await multiplexer.dismissAll();
    await multiplexer.close();
    fs.rmSync(folder, { recursive: true, force: true });
  };
  return { multiplexer, log, stop };
}
