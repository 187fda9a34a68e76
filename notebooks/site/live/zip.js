// A ZIP file of files as they are: pictures are compressed already. APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16.

/** @param {File[]} files */
export async function zip(files) {
  const [parts, directory] = [/** @type {BlobPart[]} */ ([]), /** @type {BlobPart[]} */ ([])];
  let [offset, listed] = [0, 0];
  /** @type {Set<string>} */
  const used = new Set();
  for (const file of files) {
    const name = new TextEncoder().encode(freeName(file.name, used));
    const bytes = new Uint8Array(await file.arrayBuffer());
    // version 2.0, names in UTF-8, stored, 1 January 1980, checksum, size twice, length of the name
    const about = [[20, 2], [0x800, 2], [0, 2], [0, 2], [0x21, 2], [crc(bytes), 4], [bytes.length, 4], [bytes.length, 4], [name.length, 2]];
    parts.push(numbers([[0x04034b50, 4], ...about, [0, 2]]), name, bytes);
    directory.push(numbers([[0x02014b50, 4], [20, 2], ...about, [0, 4], [0, 4], [0, 4], [offset, 4]]), name);
    offset += 30 + name.length + bytes.length;
    listed += 46 + name.length;
  }
  const end = [[0x06054b50, 4], [0, 4], [files.length, 2], [files.length, 2], [listed, 4], [offset, 4], [0, 2]];
  return new Blob([...parts, ...directory, numbers(end)]);
}

/** A name that no earlier file has: `rex.cutout.png`, `rex-2.cutout.png`. @param {string} name @param {Set<string>} used */
function freeName(name, used) {
  let free = name;
  const same = () => free.normalize().toLowerCase(); // for many file systems
  for (let number = 2; used.has(same()); number++) free = name.replace(/(\.[^.]*\.[^.]*)$/, `-${number}$1`);
  used.add(same());
  return free;
}

/** Little-endian numbers, each with how many bytes it takes. @param {number[][]} values */
function numbers(values) {
  return Uint8Array.from(values.flatMap(([value, length]) => Array.from({ length }, (_, i) => (value >>> (8 * i)) & 255)));
}

/** The checksum CRC-32. @param {Uint8Array} bytes */
function crc(bytes) {
  let sum = -1;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}
