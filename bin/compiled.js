const { createHash } = require('node:crypto');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const vm = require('node:vm');

/** Commands that many wait for: what each has compiled is kept apart, for little of it is the same. */
const keptCommands = ['status', 'mcp'];

/** Until what a command needs is compiled, and its rows are there (ms). */
const warmMs = 4_000;

const digestBytes = 32;

/**
 * Loads a program with what V8 has compiled of it at an earlier start, and keeps that where it is not kept yet: compiling takes half
 * of a start. It is kept in a folder of this user alone, since it is code, under the digest that the program begins with. V8 itself
 * refuses it for another release or other flags.
 */
exports.load = (file) => {
  const importer = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  const kept = keptFile();
  // Older releases cannot import from such a script; source maps are read of modules only.
  if (!importer || !kept || process.sourceMapsEnabled || process.env.NODE_V8_COVERAGE) {
    return void require(file);
  }
  // It is ASCII: the build sees to that.
  const source = fs.readFileSync(file, 'latin1');
  const key = `${source.slice(0, 68)} ${source.length} ${fs.statSync(file).mtimeMs}`;
  const cachedData = read(kept, key);
  const script = new vm.Script(
    `(function (exports, require, module, __filename, __dirname) {${source}\n})`,
    { filename: file, cachedData, importModuleDynamically: importer },
  );
  const module = { exports: {} };
  const run = script.runInThisContext();
  run.call(module.exports, module.exports, createRequire(file), module, file, path.dirname(file));
  if (cachedData && !script.cachedDataRejected) return;
  const { progress } = module.exports;
  const keep = () => {
    process.off('exit', atExit);
    write(kept, key, script.createCachedData());
  };
  const isWarm = () => progress.isOpen && progress.command === commandOf(kept);
  const atExit = (code) => void (code === 0 && isWarm() && keep());
  process.once('exit', atExit);
  const watch = setInterval(() => {
    if (!isWarm()) return;
    clearInterval(watch);
    keep();
  }, warmMs).unref();
};

/** Undefined where there is no place that is certainly this user's own. */
function keptFile() {
  const { HOME = '', XDG_CACHE_HOME = '' } = process.env;
  const caches = path.isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : path.join(HOME, '.cache');
  if (!path.isAbsolute(caches) || !process.getuid) return undefined;
  const command = keptCommands.find((word) => process.argv.includes(word)) ?? 'console';
  const name = `${command} ${process.version} ${process.arch}`;
  return path.join(caches, 'trace-console', name);
}

const commandOf = (kept) => path.basename(kept).split(' ')[0];

/** Whether nobody else can have written there. */
const isOwn = (stat) => stat.uid === process.getuid() && (stat.mode & 0o022) === 0;

function read(kept, key) {
  let file;
  try {
    if (!isOwn(fs.lstatSync(path.dirname(kept)))) return undefined;
    file = fs.openSync(kept, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
    if (!isOwn(fs.fstatSync(file))) return undefined;
    const bytes = fs.readFileSync(file);
    // Cut off, or of another build: V8 trusts what it is given.
    const compiled = bytes.subarray(digestBytes);
    return digestOf(key, compiled).equals(bytes.subarray(0, digestBytes)) ? compiled : undefined;
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) fs.closeSync(file);
  }
}

function write(kept, key, compiled) {
  try {
    const own = path.dirname(kept);
    // One by one: Node makes a folder with its parents, and below /proc, where mkdir says ENOENT, tries that for ever.
    for (const each of [path.dirname(own), own]) {
      if (!fs.existsSync(each)) fs.mkdirSync(each, { mode: 0o700 });
    }
    if (!isOwn(fs.lstatSync(own))) return;
    const part = `${kept}.${process.pid}`;
    fs.writeFileSync(part, digestOf(key, compiled), { mode: 0o600, flag: 'wx' });
    fs.appendFileSync(part, compiled);
    fs.renameSync(part, kept);
  } catch {
    // It starts without.
  }
}

function digestOf(key, compiled) {
  return createHash('sha256').update(key).update(compiled).digest();
}
