// What pg computes a login with, by node:crypto in place of Web Crypto: that is loaded for it, and each of its steps waits for a turn of
// the event loop, which is busy loading the screen. The further connections of a pool log in with the key of the first. Nothing of it is
// asked for here: it is loaded when a server wants a password.
const crypto = require('node:crypto');
const { promisify } = require('node:util');

const digest = (name, data) => crypto.createHash(name).update(data).digest();
const md5 = (text) => crypto.createHash('md5').update(text, 'utf8').digest('hex');

/** PostgreSQL's own number of iterations is 4,096: a millisecond. A server that wants many more must not stop the screen. */
const mostAtOnce = 20_000;

let last;

async function deriveKey(password, salt, iterations) {
  const asked = JSON.stringify([password, salt.toString('base64'), iterations]);
  const of = digest('sha256', asked).toString('base64');
  if (last?.of === of) return last.key;
  const derive = iterations > mostAtOnce ? promisify(crypto.pbkdf2) : crypto.pbkdf2Sync;
  const key = await derive(password, salt, iterations, 32, 'sha256');
  last = { of, key };
  return key;
}

module.exports = {
  randomBytes: (size) => crypto.randomBytes(size),
  deriveKey,
  md5: async (text) => md5(text),
  postgresMd5PasswordHash: async (user, password, salt) =>
    `md5${md5(Buffer.concat([Buffer.from(md5(password + user)), salt]))}`,
  sha256: async (data) => digest('sha256', data),
  hashByName: async (name, data) => digest(name.replace('-', ''), data),
  hmacSha256: async (key, text) => crypto.createHmac('sha256', key).update(text).digest(),
};
