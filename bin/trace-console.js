#!/bin/sh
':' /*
# Shell up to exec, which Node skips as a comment. Node 20 and 22 take --env-file for themselves, even
# behind the name of the script: they end with code 9 when the file is missing, and load the code that its
# NODE_OPTIONS names. Under another name the flag passes; below, the console gets it back.
for word do
  shift
  case $word in
    --env-file | --env-file=*) word=--console$word ;;
  esac
  set -- "$@" "$word"
done
exec node "$0" "$@"
*/;
const path = require('node:path');

// The launcher: checks what the program needs before any of it is loaded.
const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  process.stderr.write(
    `trace-console needs Node.js 20 or newer; this is ${process.version}.\n` +
      'Hint: install a newer Node.js, then run it again.\n',
  );
  process.exit(2);
}

process.argv = process.argv.map((word) => word.replace(/^--console(?=--env-file(=|$))/s, ''));

try {
  const [first, ...others] = process.argv.slice(2);
  if (first === 'hook' && others[0] !== '--help') runHook();
  else if (['--version', '-v'].includes(first) && others.length === 0) printVersion();
  else {
    const program = first === 'status' ? 'status' : 'program';
    require('./compiled.js').load(path.join(__dirname, `../dist/${program}.cjs`));
  }
} catch (error) {
  const isMissing = error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ENOENT';
  if (isMissing && /(program|status)\.cjs/.test(error.message)) {
    process.stderr.write(
      'trace-console is not built.\nHint: run "npm ci" (or "npm run build") in its folder first.\n',
    );
    process.exit(1);
  }
  throw error;
}

/** An agent may be waiting for it: nothing else is loaded, and no fault of it may become the agent's. */
function runHook() {
  try {
    require('../dist/hook.cjs').run(process.argv.slice(3));
  } catch {
    process.exitCode = 0;
  }
}

/** Nothing of the program is needed for it: loading that takes as long as Node itself. */
function printVersion() {
  process.stdout.on('error', ({ code, message }) => {
    // A reader that closed the pipe has what it wanted.
    if (code === 'EPIPE') return;
    process.stderr.write(`error: The output cannot be written: ${message}\n`);
    process.exitCode = 1;
  });
  process.stdout.write(`${require('../package.json').version}\n`);
}
