import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type AccessLog, type AccessLogOptions, createAccessLog } from '../../src/telemetry/access-log.ts';
import { openLogDestination } from '../../src/telemetry/log-destination.ts';
import { until } from '../support/until.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portico-log-'));
});
after(() => rm(directory, { recursive: true }));

interface Losses {
  readonly counts: Record<string, number>;
  readonly errors: string[];
}

function open(options: Partial<AccessLogOptions> & { path: string }): { log: AccessLog } & Losses {
  const counts: Record<string, number> = {};
  const errors: string[] = [];
  const log = createAccessLog({
    lost: (reason, lines) => {
      counts[reason] = (counts[reason] ?? 0) + lines;
    },
    failed: (error) => errors.push((error as NodeJS.ErrnoException).code ?? error.message),
    flushMs: 5,
    retryMs: 20,
    ...options,
  });
  return { log, counts, errors };
}

const line = (index: number, pad = 100): string => `{"n":${index},"pad":"${'x'.repeat(pad)}"}\n`;
const numbers = (text: string): number[] =>
  text
    .split('\n')
    .filter((part) => part !== '')
    .map((part) => (JSON.parse(part) as { n: number }).n);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

describe('access log into a file', () => {
  it('writes all lines in order and appends to what is there', async () => {
    const path = join(directory, 'plain.log');
    for (const from of [0, 5000]) {
      const { log, counts } = open({ path });
      for (let index = from; index < from + 5000; index += 1) log.line(line(index));
      await log.close(5000);
      assert.deepEqual(counts, {});
    }
    assert.deepEqual(numbers(await readFile(path, 'utf8')), upTo(10_000));
    assert.equal((await stat(path)).mode & 0o007, 0, 'others may not read it');
  });

  it('writes a lonely line without waiting for others', async () => {
    const path = join(directory, 'lonely.log');
    const { log } = open({ path });
    log.line(line(0));
    await until('the line', async () => (await readFile(path, 'utf8').catch(() => '')) !== '');
    await log.close(1000);
  });

  it('follows a rotation by rename and reopen without losing or doubling a line', async () => {
    const path = join(directory, 'rotated.log');
    const { log, counts } = open({ path });
    let next = 0;
    for (let round = 0; round < 4; round += 1) {
      for (let index = 0; index < 1000; index += 1) log.line(line(next++));
      await until('the file', () => stat(path).catch(() => null));
      await rename(path, `${path}.${round}`);
      const reopened = log.reopen();
      for (let index = 0; index < 1000; index += 1) log.line(line(next++));
      await reopened;
    }
    await log.close(5000);
    const files = await Promise.all(
      [`${path}.0`, `${path}.1`, `${path}.2`, `${path}.3`, path].map((name) => readFile(name, 'utf8')),
    );
    for (const text of files) assert.ok(text === '' || text.endsWith('\n'), 'no line is cut in two');
    assert.deepEqual(numbers(files.join('')), upTo(next));
    assert.deepEqual(counts, {});
  });

  it('keeps writing to the old file when the new one cannot be opened', async () => {
    const path = join(directory, 'kept.log');
    let opened = 0;
    const { log, errors, counts } = open({
      path,
      open: (wanted) => {
        opened += 1;
        return opened === 1 ? openLogDestination(wanted) : Promise.reject(new Error('no space for names'));
      },
    });
    log.line(line(0));
    await until('the line', async () => (await readFile(path, 'utf8').catch(() => '')) !== '');
    await log.reopen();
    log.line(line(1));
    await log.close(1000);
    assert.deepEqual(numbers(await readFile(path, 'utf8')), [0, 1]);
    assert.deepEqual(errors, ['no space for names']);
    assert.deepEqual(counts, {});
  });

  it('counts lines as lost on a full disk, tells once, and never throws', async () => {
    const { log, counts, errors } = open({ path: '/dev/full', bufferBytes: 10_000 });
    log.line(line(0));
    await until('an error', () => errors.length > 0);
    for (let index = 1; index < 1000; index += 1) log.line(line(index));
    const kept = Math.floor(10_000 / line(100).length);
    await log.close(50);
    assert.equal((counts['write-error'] ?? 0) + (counts['closed'] ?? 0), 1000);
    assert.ok(Math.abs((counts['closed'] ?? 0) - kept) <= 2, JSON.stringify(counts));
    assert.deepEqual(errors, ['ENOSPC']);
  });

  it('writes what it held back once the disk has room again', async () => {
    const path = join(directory, 'again.log');
    let full = true;
    const { log, counts, errors } = open({
      path,
      open: (wanted) => openLogDestination(full ? '/dev/full' : wanted),
    });
    for (let index = 0; index < 500; index += 1) log.line(line(index));
    await until('an error', () => errors.length > 0);
    full = false;
    await until('the file', () => stat(path).catch(() => null));
    for (let index = 500; index < 1000; index += 1) log.line(line(index));
    await log.close(5000);
    assert.deepEqual(numbers(await readFile(path, 'utf8')), upTo(1000));
    assert.deepEqual(counts, {});
  });

  it('starts although its directory is missing, and counts', async () => {
    const { log, counts, errors } = open({ path: join(directory, 'absent', 'x.log'), bufferBytes: 200 });
    await until('an error', () => errors.length > 0);
    for (let index = 0; index < 10; index += 1) log.line(line(index));
    await log.close(10);
    assert.deepEqual(errors, ['ENOENT']);
    assert.equal((counts['write-error'] ?? 0) + (counts['closed'] ?? 0), 10);
  });
});

describe('access log into a pipe', () => {
  const fifo = (name: string): string => {
    const path = join(directory, name);
    execFileSync('mkfifo', [path]);
    return path;
  };
  const openReader = (path: string): number => openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  /** What can be read now. */
  const drain = (descriptor: number): string => {
    const buffer = Buffer.alloc(1 << 16);
    let text = '';
    for (;;) {
      try {
        const count = readSync(descriptor, buffer);
        if (count === 0) return text;
        text += buffer.toString('latin1', 0, count);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return text;
        throw error;
      }
    }
  };

  it('drops and counts while the reader is stuck, holds no thread, and goes on when it reads again', async () => {
    const path = fifo('stuck');
    const reader = openReader(path);
    const { log, counts } = open({ path, bufferBytes: 100_000 });
    const total = 5000;
    for (let index = 0; index < total; index += 1) {
      log.line(line(index));
      if (index % 100 === 0) await new Promise(setImmediate);
    }
    assert.ok((counts['buffer-full'] ?? 0) > 1000, JSON.stringify(counts));
    // Five file operations at once need more threads than would be left if the writer held one of the four.
    await Promise.all(Array.from({ length: 5 }, () => stat(directory)));
    let text = drain(reader);
    await until('the lines', () => {
      text += drain(reader);
      return text.split('\n').length - 1 === total - (counts['buffer-full'] ?? 0);
    });
    log.line(line(total));
    await until('the lines', () => {
      text += drain(reader);
      return text.endsWith(line(total));
    });
    await log.close(1000);
    closeSync(reader);
    const seen = numbers(text);
    assert.deepEqual(
      seen,
      [...seen].sort((left, right) => left - right),
      'whole lines in order',
    );
    assert.equal(seen.length + (counts['buffer-full'] ?? 0), total + 1);
  });

  it('ends at the deadline while the reader is stuck, and counts what was left', async () => {
    const path = fifo('deadline');
    const reader = openReader(path);
    const { log, counts } = open({ path });
    for (let index = 0; index < 5000; index += 1) log.line(line(index));
    await log.close(30);
    const text = drain(reader);
    closeSync(reader);
    assert.equal(numbers(text).length + (counts['closed'] ?? 0), 5000);
  });

  it('waits for a reader that is not there yet', async () => {
    const path = fifo('early');
    const { log, errors, counts } = open({ path });
    log.line(line(0));
    await until('an error', () => errors.length > 0);
    assert.deepEqual(errors, ['ENXIO']);
    const reader = openReader(path);
    let text = '';
    await until('the lines', () => {
      text += drain(reader);
      return text !== '';
    });
    await log.close(1000);
    closeSync(reader);
    assert.deepEqual(numbers(text), [0]);
    assert.deepEqual(counts, {});
  });

  it('survives a reader that leaves and serves the next one', async () => {
    const path = fifo('leaves');
    const first = openReader(path);
    const { log, errors } = open({ path });
    log.line(line(0));
    let text = '';
    await until('the lines', () => {
      text += drain(first);
      return text !== '';
    });
    closeSync(first);
    log.line(line(1));
    await until('an error', () => errors.length > 0);
    assert.deepEqual(errors, ['EPIPE']);
    const second = openReader(path);
    log.line(line(2));
    await until('the lines', () => {
      text += drain(second);
      return text.endsWith(line(2));
    });
    await log.close(1000);
    closeSync(second);
    assert.deepEqual(numbers(text), [0, 1, 2]);
  });

  it('never mixes the lines of two processes that share a pipe', async () => {
    const path = fifo('shared');
    const reader = openReader(path);
    const logs = [open({ path }), open({ path })];
    let text = '';
    for (let index = 0; index < 3000; index += 1) {
      for (const { log } of logs) log.line(line(index, 50 + ((index * 37) % 900)));
      if (index % 50 === 0) {
        await new Promise(setImmediate);
        text += drain(reader);
      }
    }
    const closing = Promise.all(logs.map(({ log }) => log.close(5000)));
    let open_ = true;
    void closing.then(() => {
      open_ = false;
    });
    await until('both to end', () => {
      text += drain(reader);
      return !open_;
    });
    text += drain(reader);
    closeSync(reader);
    assert.equal(
      numbers(text).length + logs.reduce((sum, one) => sum + (one.counts['buffer-full'] ?? 0), 0),
      6000,
    );
  });

  const STUCK = fileURLToPath(new URL('./write-to-stuck-stdout.ts', import.meta.url));

  it('lets its process end while standard output is a stuck pipe', async () => {
    const path = fifo('stdout');
    const reader = openReader(path);
    const writer = openSync(path, constants.O_WRONLY);
    const child = spawn(process.execPath, [STUCK], { stdio: ['ignore', writer, 'pipe'] });
    closeSync(writer);
    assert.ok(child.stderr);
    const report = child.stderr.setEncoding('utf8').toArray();
    const [code] = (await once(child, 'exit')) as [number];
    const written = drain(reader);
    closeSync(reader);
    checkStuck(code, written, (await report).join(''));
  });

  it('lets its process end while standard output is a stuck socket', async () => {
    const child = spawn(process.execPath, [STUCK], { stdio: ['ignore', 'pipe', 'pipe'] });
    const report = child.stderr.setEncoding('utf8').toArray();
    // Standard output is read only once the child has ended; in the handler itself, since Node throws it away right after.
    const [code, written] = await new Promise<[number, Promise<string[]>]>((resolve) => {
      child.once('exit', (status) => resolve([status ?? -1, child.stdout.setEncoding('utf8').toArray()]));
    });
    checkStuck(code, (await written).join(''), (await report).join(''));
  });

  function checkStuck(code: number, written: string, report: string): void {
    assert.equal(code, 0, report);
    const { lost, total, next } = JSON.parse(report) as { lost: number; total: number; next: number };
    assert.ok(lost > 0);
    assert.ok(next > 2, 'standard output stays open');
    assert.equal(numbers(written).length + lost, total);
  }
});

describe('access log switched off', () => {
  it('does nothing', async () => {
    const { log, counts } = open({ path: 'off' });
    log.line(line(0));
    await log.reopen();
    await log.close(1000);
    assert.deepEqual(counts, {});
  });
});
