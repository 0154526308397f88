// A zip of files, stored without compression: images are compressed already.

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

function record(fields: [value: number, size: 2 | 4][]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(fields.reduce((sum, [, size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [value, size] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}

export interface NamedFile {
  path: string;
  file: File;
}

/** At most 65,535 files, below 4 GiB; of files with one name, the later ones get a number. */
export async function zip(files: NamedFile[]): Promise<Blob> {
  const parts: BlobPart[] = [];
  const index: BlobPart[] = [];
  let offset = 0;
  let indexSize = 0;
  const used = new Set<string>();
  for (const { path, file } of files) {
    let unique = path;
    for (let n = 2; used.has(unique); n++) unique = path.replace(/(\.[^.]*)?$/, `-${n}$1`);
    used.add(unique);
    const name = new TextEncoder().encode(unique);
    const bytes = new Uint8Array(await file.arrayBuffer());
    // Version 2.0, names in UTF-8, stored, 1 January 1980.
    const common: [number, 2 | 4][] = [
      [20, 2],
      [0x800, 2],
      [0, 2],
      [0, 2],
      [0x21, 2],
      [crc32(bytes), 4],
      [bytes.length, 4],
      [bytes.length, 4],
      [name.length, 2],
      [0, 2],
    ];
    const head = record([[0x04034b50, 4], ...common]);
    parts.push(head, name, file);
    index.push(record([[0x02014b50, 4], [20, 2], ...common, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]), name);
    offset += head.length + name.length + bytes.length;
    indexSize += 46 + name.length;
  }
  const end = record([
    [0x06054b50, 4],
    [0, 2],
    [0, 2],
    [files.length, 2],
    [files.length, 2],
    [indexSize, 4],
    [offset, 4],
    [0, 2],
  ]);
  return new Blob([...parts, ...index, end], { type: "application/zip" });
}

const IMAGE = /\.(png|jpe?g|webp|bmp|gif|tiff?)$/i;

interface Entry {
  isFile: boolean;
  isDirectory: boolean;
  fullPath: string;
  file?: (done: (file: File) => void, failed: (error: unknown) => void) => void;
  createReader?: () => { readEntries: (done: (entries: Entry[]) => void, failed: (error: unknown) => void) => void };
}

async function walk(entry: Entry): Promise<NamedFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((done, failed) => entry.file!(done, failed));
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = entry.createReader!();
  const all: NamedFile[] = [];
  for (;;) {
    const some = await new Promise<Entry[]>((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return all;
    for (const inner of some) all.push(...(await walk(inner)));
  }
}

/** The files of a drop, those in dropped folders too. */
export async function droppedFiles(transfer: DataTransfer): Promise<NamedFile[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry() as Entry | null).filter((e) => e !== null);
  return (await Promise.all(entries.map(walk))).flat();
}

export const pickedFiles = (files: FileList): NamedFile[] =>
  [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));

export const onlyImages = (files: NamedFile[]): NamedFile[] =>
  files.filter(
    ({ path }) => IMAGE.test(path) && !path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX"),
  );
