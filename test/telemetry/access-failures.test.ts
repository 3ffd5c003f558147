import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createAccessLog } from '../../src/telemetry/access-log.ts';
import type { LogDestination } from '../../src/telemetry/log-destination.ts';
import { fc } from '../support/properties.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portico-log-'));
});
after(() => rm(directory, { recursive: true }));

const line = (index: number): string => `{"n":${index},"pad":"${'x'.repeat(20 + ((index * 37) % 400))}"}\n`;

/** What happens to one write: the share of it that is written before an error, and what becomes of the file then. */
interface Trouble {
  readonly share: number;
  readonly after: 'nothing' | 'rotated' | 'other-writer';
}

/** A path whose files are in memory and fail as told; a write without trouble succeeds. */
class TroubledPath {
  readonly files = [''];
  cuts = 0;
  open = 0;
  readonly #troubles: (Trouble | null)[];

  constructor(troubles: readonly (Trouble | null)[]) {
    this.#troubles = [...troubles];
  }

  rotate(): void {
    this.files.push('');
  }

  async openFile(): Promise<LogDestination> {
    const { files } = this;
    const file = files.length - 1;
    const endOf = (): string => `${file}:${files[file]!.length}`;
    this.open += 1;
    let end = endOf();
    let newline = '';
    return {
      chunkBytes: 4096,
      rotates: true,
      get end() {
        return end;
      },
      startLine: () => {
        if (/[^\n]$/.test(files[file]!)) newline = '\n';
      },
      write: (chunk, done) => {
        setImmediate(() => {
          const trouble = this.#troubles.shift() ?? null;
          const count = trouble === null ? chunk.length : Math.floor(chunk.length * trouble.share);
          files[file] += newline + chunk.toString('latin1', 0, count);
          newline = '';
          end = endOf();
          if (trouble?.after === 'rotated' && file === files.length - 1) this.rotate();
          if (trouble?.after === 'other-writer') files[file] += '{"other":true}\n';
          if (trouble !== null && count > 0 && chunk[count - 1] !== 10) this.cuts += 1;
          done(count, trouble === null ? null : Object.assign(new Error('trouble'), { code: 'EIO' }));
        });
      },
      close: () => {
        this.open -= 1;
      },
    };
  }
}

/** Numbers of the whole lines in their order, and how many were torn: those without a newline, too. */
function readLines(files: readonly string[]): { numbers: number[]; torn: number } {
  const numbers: number[] = [];
  let torn = 0;
  for (const text of files.flatMap((file) => file.match(/[^\n]*\n|[^\n]+$/g) ?? [])) {
    try {
      if (!text.endsWith('\n')) throw new Error('no newline');
      const { n } = JSON.parse(text) as { n?: number };
      if (n !== undefined) numbers.push(n);
    } catch {
      torn += 1;
    }
  }
  return { numbers, torn };
}

describe('access log in trouble', () => {
  it('writes every line once and whole, or counts it, whatever fails in the middle of a line', async () => {
    const trouble = fc.record({
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      after: fc.constantFrom('nothing' as const, 'rotated' as const, 'other-writer' as const),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.option(trouble), { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        async (troubles, bursts, patient) => {
          const path = new TroubledPath(troubles);
          let lost = 0;
          const log = createAccessLog({
            path: '/memory',
            open: () => path.openFile(),
            lost: (_, lines) => {
              lost += lines;
            },
            flushMs: 1,
            retryMs: 1,
          });
          let next = 0;
          for (const burst of bursts) {
            for (let index = 0; index < burst; index += 1) log.line(line(next++));
            await new Promise(setImmediate);
            if (burst % 7 === 0) {
              path.rotate();
              await log.reopen();
            }
          }
          await log.close(patient ? 5000 : 0);
          if (patient) assert.equal(lost, 0);
          const { numbers, torn } = readLines(path.files);
          assert.deepEqual(
            numbers,
            numbers.toSorted((left, right) => left - right),
          );
          assert.equal(new Set(numbers).size, numbers.length, 'no line twice');
          assert.equal(numbers.length + lost, next);
          // A part is left behind only where the rest could not follow.
          const couldFollow = path.files.length === 1 && !path.files[0]!.includes('other') && patient;
          assert.ok(torn <= (couldFollow ? 0 : path.cuts), `${torn} torn, ${path.cuts} cut`);
          if (patient) assert.equal(path.open, 0, 'every file is closed');
        },
      ),
      { numRuns: 60 },
    );
  });

  it('starts a new line behind a part that somebody has left', async () => {
    const path = join(directory, 'left.log');
    await writeFile(path, '{"n":0}\n{"n":1,"pa');
    for (const index of [2, 3]) {
      const log = createAccessLog({ path, lost: assert.fail });
      log.line(line(index));
      await log.close(5000);
    }
    assert.equal(await readFile(path, 'latin1'), `{"n":0}\n{"n":1,"pa\n${line(2)}${line(3)}`);
  });

  it('goes on in the middle of a line where the file still ends there', async () => {
    const path = new TroubledPath([{ share: 0.5, after: 'nothing' }]);
    const log = createAccessLog({
      path: '/memory',
      open: () => path.openFile(),
      lost: assert.fail,
      retryMs: 1,
    });
    for (let index = 0; index < 9; index += 1) log.line(line(index));
    await log.close(5000);
    assert.deepEqual(path.files, [Array.from({ length: 9 }, (_, index) => line(index)).join('')]);
  });

  it('counts a line that is written in part as lost when the deadline comes', async () => {
    const path = new TroubledPath([{ share: 0.5, after: 'nothing' }]);
    const lost: [string, number][] = [];
    const log = createAccessLog({
      path: '/memory',
      open: () => path.openFile(),
      lost: (reason, lines) => lost.push([reason, lines]),
      retryMs: 60_000,
    });
    for (let index = 0; index < 9; index += 1) log.line(line(index));
    await log.close(30);
    assert.deepEqual(lost, [['closed', 9 - readLines(path.files).numbers.length]]);
    assert.equal(path.open, 0);
  });

  it('closes the new file when its end comes while a reopening waits for a stuck write', async () => {
    let opened = 0;
    let closed = 0;
    const { promise: stuck, resolve: write } = Promise.withResolvers<void>();
    const log = createAccessLog({
      path: '/memory',
      open: async () => {
        opened += 1;
        return {
          chunkBytes: 4096,
          rotates: true,
          end: null,
          startLine: () => {},
          write: () => write(),
          close: () => {
            closed += 1;
          },
        };
      },
      lost: () => {},
      flushMs: 1,
    });
    for (let index = 0; index < 500; index += 1) log.line(line(index));
    await stuck;
    const reopened = log.reopen();
    await log.close(5);
    await reopened;
    assert.deepEqual([opened, closed], [2, 2]);
  });

  it('starts a line again in the next file when the first one may not grow', async () => {
    // The limit makes the kernel cut a write short and then refuse the rest (EFBIG), as a full disk does with ENOSPC.
    const path = join(directory, 'limited.log');
    const script = fileURLToPath(new URL('./write-to-limited-file.ts', import.meta.url));
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      'ulimit -f 16 && exec "$0" "$@"',
      process.execPath,
      script,
      path,
    ]);
    const { total, lost, errors, files } = JSON.parse(stdout) as {
      total: number;
      lost: number;
      errors: string[];
      files: string[];
    };
    const texts = await Promise.all(files.map((file) => readFile(file, 'latin1')));
    const { numbers, torn } = readLines(texts);
    assert.ok(files.length > 3 && torn > 0 && errors.every((code) => code === 'EFBIG'), stdout);
    assert.equal(
      torn,
      texts.filter((text) => !text.endsWith('\n')).length,
      'only the last line of a file is cut',
    );
    assert.deepEqual(
      numbers,
      Array.from({ length: total }, (_, index) => index),
    );
    assert.equal(lost, 0);
  });
});
