// Asks the registry for known weaknesses of the packages that users install (npm audit). Ends with 1 when there is one, and
// with 2 when the registry has no answer; with --if-reachable no answer is said and passed over, so that what runs without
// a network, or with a registry that has no audit, does not fail for that.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { stdout } = spawnSync(
  'npm',
  ['audit', '--omit=dev', '--json', '--fetch-retries=1', '--fetch-timeout=20000'],
  { cwd: root, encoding: 'utf8', timeout: 60_000 },
);

/** Undefined when npm printed no report: it then prints an error, or nothing. */
function reportOf(text) {
  try {
    const report = JSON.parse(text ?? '');
    return report.vulnerabilities === undefined ? undefined : report;
  } catch {
    return undefined;
  }
}

const report = reportOf(stdout);
if (report === undefined) {
  console.error('Not known whether packages have weaknesses: the registry has no answer.');
  process.exitCode = process.argv.includes('--if-reachable') ? 0 : 2;
} else {
  const found = Object.values(report.vulnerabilities);
  for (const { name, severity, range } of found) console.log(`${severity}: ${name} ${range}`);
  console.log(`${found.length} packages with known weaknesses`);
  if (found.length > 0) process.exitCode = 1;
}
