/** A file or folder of a tar archive. */
export type TarEntry = { name: string; folder: boolean; data: Buffer };

const block = 512;

function text(header: Buffer, from: number, length: number): string {
  const field = header.subarray(from, from + length);
  const zero = field.indexOf(0);
  return field.toString('utf8', 0, zero < 0 ? length : zero);
}

/** Reads a plain (ustar) archive as PGlite's dumpDataDir writes it: files and folders only. */
export function* readTar(archive: Buffer): Generator<TarEntry> {
  let offset = 0;
  while (offset + block <= archive.length) {
    const header = archive.subarray(offset, offset + block);
    if (header[0] === 0) return;
    const prefix = text(header, 345, 155);
    const name = (prefix === '' ? '' : `${prefix}/`) + text(header, 0, 100);
    const size = Number.parseInt(text(header, 124, 12).trim() || '0', 8);
    const type = String.fromCharCode(header[156] ?? 0);
    if (!Number.isSafeInteger(size) || !'0\u00005'.includes(type)) {
      throw new Error(`the archive has an entry of an unknown kind: ${name}`);
    }
    offset += block;
    const data = archive.subarray(offset, offset + size);
    if (data.length !== size) throw new Error('the archive is cut off');
    yield { name: name.replace(/^\/+/, ''), folder: type === '5', data };
    offset += Math.ceil(size / block) * block;
  }
}
