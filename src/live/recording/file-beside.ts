import fs from 'node:fs';
import path from 'node:path';

/** `incident.jsonl` → `incident.prod.jsonl`, or with a number where that exists: a recording overwrites nothing. */
export function fileBeside(file: string, name: string): string {
  const { dir, name: base, ext } = path.parse(file);
  for (let number = 1; ; number += 1) {
    const suffix = number === 1 ? '' : `-${number}`;
    const beside = path.join(dir, `${base}.${name}${suffix}${ext}`);
    if (!fs.existsSync(beside)) return beside;
  }
}
