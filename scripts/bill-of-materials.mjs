// What of others is in the bundle, as CycloneDX: from what esbuild has read, not from what package.json asks for.
import fs from 'node:fs';
import path from 'node:path';

/** Packages that stay outside of the bundle and are loaded from node_modules. */
const beside = ['@electric-sql/pglite', '@electric-sql/pglite-pgvector', 'pg'];

const packageOf = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/;

/**
 * @param {string} root of the repository
 * @param {string} outdir the file sbom.cdx.json goes there
 * @param {import('esbuild').Metafile[]} metafiles
 */
export function writeBillOfMaterials(root, outdir, metafiles) {
  const folders = new Set(beside.map((name) => `node_modules/${name}`));
  for (const { inputs } of metafiles) {
    for (const file of Object.keys(inputs)) {
      const [folder] = packageOf.exec(file) ?? [];
      if (folder) folders.add(folder);
    }
  }
  const components = [...folders]
    .map((folder) => componentOf(path.join(root, folder)))
    .sort((a, b) => a.purl.localeCompare(b.purl));
  const { name, version, license } = readJson(path.join(root, 'package.json'));
  const bill = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: { type: 'application', name, version, licenses: licensesOf(license) },
    },
    components,
  };
  fs.writeFileSync(path.join(outdir, 'sbom.cdx.json'), `${JSON.stringify(bill, null, 2)}\n`);
}

function componentOf(folder) {
  const { name, version, license } = readJson(path.join(folder, 'package.json'));
  const [scope, bare] = name.startsWith('@') ? name.split('/') : [undefined, name];
  const purl = `pkg:npm/${scope === undefined ? '' : `${encodeURIComponent(scope)}/`}${bare}@${version}`;
  return { type: 'library', 'bom-ref': purl, name, version, purl, licenses: licensesOf(license) };
}

/** An expression of SPDX covers a single licence, too. */
function licensesOf(license) {
  const expression = typeof license === 'string' ? license : license?.type;
  return expression === undefined ? [] : [{ expression }];
}

function readJson(file) {
  return JSON.parse(fs.readFileSync(file, 'utf8'));
}
