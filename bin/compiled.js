const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const vm = require('node:vm');
const zlib = require('node:zlib');

/** Commands that many wait for: what each has compiled is kept apart, for little of it is the same. */
const keptCommands = ['status', 'mcp'];

/** Until what a command needs is compiled, and its rows are there (ms). */
const warmMs = 4_000;

/** A month. */
const oldMs = 30 * 86_400_000;

/** So many builds of the program may take turns: an installed one, the next, a checkout. What was kept of earlier ones goes. */
const keptBuilds = 3;

/**
 * Loads a program with what V8 has compiled of it at an earlier start, and keeps that where it is not kept yet: compiling takes half
 * of a start. It is kept in a folder of this user alone, since it is code, under a checksum that tells its build. V8 itself refuses it
 * for another release or other flags.
 */
exports.load = (file, caches = cachesFolder()) => {
  // Source maps are read of modules only.
  if (!caches || process.sourceMapsEnabled || process.env.NODE_V8_COVERAGE) {
    return require(file).progress.tellKept();
  }
  // It is ASCII: the build sees to that.
  const source = fs.readFileSync(file, 'latin1');
  const key = `${source.slice(0, 68)} ${source.length} ${fs.statSync(file).mtimeMs}`;
  const kept = path.join(caches, 'trace-console', nameOf(key));
  const cachedData = read(kept, key);
  const script = new vm.Script(
    `(function (exports, require, module, __filename, __dirname, __load) {${source}\n})`,
    { filename: file, cachedData },
  );
  const module = { exports: {} };
  const run = script.runInThisContext();
  // Not the script itself: Node 20 lets it import no more once it was taken from what was kept.
  const load = (name) => import(name);
  run.call(
    module.exports,
    ...[module.exports, createRequire(file), module, file, path.dirname(file), load],
  );
  const { progress } = module.exports;
  if (cachedData && !script.cachedDataRejected) return progress.tellKept();
  const keep = () => {
    process.off('exit', atExit);
    write(kept, key, script.createCachedData());
    progress.tellKept();
  };
  const isWarm = () => progress.isOpen && progress.command === commandOf(kept);
  const atExit = (code) => void (code === 0 && isWarm() && keep());
  process.once('exit', atExit);
  let wasWarm = false;
  const watch = setInterval(() => {
    if (wasWarm) {
      clearInterval(watch);
      keep();
    }
    wasWarm = isWarm();
  }, warmMs).unref();
};

/** Undefined where there is no place that is certainly this user's own. */
function cachesFolder() {
  const { HOME = '', XDG_CACHE_HOME = '' } = process.env;
  const caches = path.isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : path.join(HOME, '.cache');
  return path.isAbsolute(caches) && process.getuid ? caches : undefined;
}

/** Each build of the program has its own: two that are installed would overwrite each other's at every start. */
function nameOf(key) {
  const command = keptCommands.find((word) => process.argv.includes(word)) ?? 'console';
  const build = checksumOf(key).toString('hex').replace(/^0+/, '').slice(0, 12);
  return `${command} ${process.version} ${process.arch} ${build}`;
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
    const { length } = checksumOf(key);
    const compiled = bytes.subarray(length);
    return checksumOf(key, compiled).equals(bytes.subarray(0, length)) ? compiled : undefined;
  } catch {
    return undefined;
  } finally {
    if (file !== undefined) fs.closeSync(file);
  }
}

function write(kept, key, compiled) {
  const part = `${kept}.${require('node:crypto').randomUUID()}`;
  try {
    const own = path.dirname(kept);
    // One by one: Node makes a folder with its parents, and below /proc, where mkdir says ENOENT, tries that for ever.
    for (const each of [path.dirname(own), own]) {
      if (fs.existsSync(each)) continue;
      // As another user with the same HOME (sudo) it would make a folder that this one cannot use.
      if (fs.statSync(path.dirname(each)).uid !== process.getuid()) return;
      fs.mkdirSync(each, { mode: 0o700 });
    }
    if (!isOwn(fs.lstatSync(own))) return;
    fs.writeFileSync(part, checksumOf(key, compiled), { mode: 0o600, flag: 'wx' });
    fs.appendFileSync(part, compiled);
    fs.renameSync(part, kept);
    removeOld(own);
  } catch {
    // It starts without.
    discard(part);
  }
}

function discard(part) {
  try {
    fs.rmSync(part, { force: true });
  } catch {
    // Where it would lie is no folder.
  }
}

/** What nobody has made for long, and what was kept of the builds before the last ones. */
function removeOld(own) {
  const found = fs.readdirSync(own).map((name) => {
    const each = path.join(own, name);
    return { each, of: name.replace(/ [^ ]*$/, ''), writtenMs: fs.lstatSync(each).mtimeMs };
  });
  const newer = new Map();
  for (const { each, of, writtenMs } of found.sort((a, b) => b.writtenMs - a.writtenMs)) {
    const before = newer.get(of) ?? 0;
    newer.set(of, before + 1);
    const isOld = before >= keptBuilds || Date.now() - writtenMs > oldMs;
    if (isOld) fs.rmSync(each, { recursive: true });
  }
}

/**
 * Tells a file that is cut off, damaged or of another build. Nobody else can write there, so a cyclic redundancy check will do: to load
 * node:crypto for a digest takes longer than to check. Node has one from 20.15 and 22.2 on.
 */
function checksumOf(key, compiled = Buffer.alloc(0)) {
  if (!zlib.crc32) {
    const { createHash } = require('node:crypto');
    return createHash('sha256').update(key).update(compiled).digest();
  }
  const sum = Buffer.alloc(8);
  sum.writeUInt32BE(compiled.length);
  sum.writeUInt32BE(zlib.crc32(compiled, zlib.crc32(key)), 4);
  return sum;
}
