#!/usr/bin/env node
// The launcher: checks what the program needs before any of it is loaded.
const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  process.stderr.write(
    `trace-console needs Node.js 20 or newer; this is ${process.version}.\n` +
      'Hint: install a newer Node.js, then run it again.\n',
  );
  process.exit(2);
}

try {
  await import('../dist/main.js');
} catch (error) {
  if (error?.code === 'ERR_MODULE_NOT_FOUND' && String(error.message).includes('dist')) {
    process.stderr.write(
      'trace-console is not built.\nHint: run "npm ci" (or "npm run build") in its folder first.\n',
    );
    process.exit(1);
  }
  throw error;
}
