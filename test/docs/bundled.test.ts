import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';

type Bill = {
  bomFormat: string;
  components: { name: string; version: string; purl: string; licenses: { expression: string }[] }[];
};

const root = join(import.meta.dirname, '../..');
const permissive =
  /^\(?(MIT|ISC|Apache-2\.0|BSD-[23]-Clause|0BSD|PostgreSQL|BlueOak-1\.0\.0|CC0-1\.0)\b/;

it('the list of what is bundled names each package with its version and a permissive licence', () => {
  const bill = JSON.parse(readFileSync(join(inject('programs'), 'sbom.cdx.json'), 'utf8')) as Bill;
  expect(bill.bomFormat).toBe('CycloneDX');
  const names = bill.components.map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining(['ink', 'pg', 'react', '@electric-sql/pglite']));
  expect(new Set(bill.components.map(({ purl }) => purl)).size).toBe(names.length);
  const doubtful = bill.components.filter(
    ({ licenses, version }) => !permissive.test(licenses[0]?.expression ?? '') || version === '',
  );
  expect(doubtful).toEqual([]);
});

it('no package that is bundled or loaded runs a script when it is installed', () => {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; hasInstallScript?: boolean }>;
  };
  const running = Object.entries(packages).filter(
    ([path, { dev, hasInstallScript }]) => path !== '' && hasInstallScript && !dev,
  );
  expect(running).toEqual([]);
});
