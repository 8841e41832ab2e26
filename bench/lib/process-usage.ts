import { readdirSync, readFileSync } from 'node:fs';

/** Kernel clock ticks a second, in which /proc counts processor time; 100 on every Linux of today. */
const ticksPerSecond = 100;
const pageBytes = 4096;

export type Usage = { cpuSeconds: number; residentMb: number };

/** Processor time (user and system) and resident memory of a process and all below it. Linux only. */
export function usageOf(pid: number): Usage {
  const all = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => statOf(Number(name)) ?? [])
      .map((stat) => [stat.pid, stat]),
  );
  const tree = [...all.values()].filter((stat) => {
    for (let at: typeof stat | undefined = stat; at; at = all.get(at.parent)) {
      if (at.pid === pid) return true;
    }
    return false;
  });
  return {
    cpuSeconds: tree.reduce((sum, { ticks }) => sum + ticks, 0) / ticksPerSecond,
    residentMb: (tree.reduce((sum, { pages }) => sum + pages, 0) * pageBytes) / 2 ** 20,
  };
}

function statOf(pid: number) {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The name stands in parentheses and may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    pid,
    parent: Number(fields[1]),
    ticks: Number(fields[11]) + Number(fields[12]),
    pages: Number(fields[21]),
  };
}
