// One child process: messages in order, its end told once, and the pause before another is started.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { Backoff, Child } from '../../src/supervisor/child.ts';

describe('child', () => {
  let directory: string;
  let entry: string;
  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'portico-child-'));
    entry = path.join(directory, 'echo.mjs');
    await writeFile(
      entry,
      `process.on('message', (message) => {
        if (message.exit !== undefined) process.exit(message.exit);
        process.send({ ...message, argument: process.argv[2] });
      });`,
    );
  });
  after(() => rm(directory, { recursive: true }));

  interface Told {
    readonly child: Child;
    readonly messages: unknown[];
    readonly message: Promise<unknown>;
    readonly exit: Promise<string>;
  }

  function start(): Told {
    const messages: unknown[] = [];
    const message = Promise.withResolvers<unknown>();
    const exit = Promise.withResolvers<string>();
    const child = new Child({
      role: 'worker',
      name: 'worker-1',
      slot: 0,
      entry,
      args: ['hello'],
      execArgv: [],
      environment: {},
      log: pino({ level: 'silent' }),
      onMessage: (_child, received) => {
        messages.push(received);
        if (messages.length === 3) message.resolve(messages);
      },
      onExit: (_child, reason) => exit.resolve(reason),
    });
    return { child, messages, message: message.promise, exit: exit.promise };
  }

  it('passes messages both ways in order, typed arrays as they are', async () => {
    const { child, messages, message, exit } = start();
    for (let number = 1; number <= 3; number += 1) child.send({ number, values: Float64Array.of(number) });
    await message;
    assert.deepEqual(
      messages,
      [1, 2, 3].map((number) => ({ number, values: Float64Array.of(number), argument: 'hello' })),
    );
    assert.ok(child.pid > 0 && !child.exited);
    child.send({ exit: 3 });
    assert.equal(await exit, 'exit-3');
    assert.equal(child.exited, true);
    child.send({ number: 4 });
    child.kill('SIGTERM');
  });

  it('tells of a process that cannot be started like of one that ended', () => {
    // With so few descriptors no channel can be made: the starting process is a real one of its own.
    const script = `
      import { pino } from 'pino';
      import { openSync } from 'node:fs';
      import { Child } from ${JSON.stringify(path.join(import.meta.dirname, '../../src/supervisor/child.ts'))};
      const log = pino({ level: 'silent' });
      const options = { role: 'worker', name: 'worker-1', slot: 0, entry: 'x', args: [], execArgv: [], log };
      try { for (;;) openSync('/dev/null'); } catch {}
      new Child({ ...options, onMessage() {}, onExit: (child, reason) => {
        process.stdout.write(reason + ' ' + child.exited);
      } }).send({});
    `;
    const { stdout, stderr } = spawnSync(
      'sh',
      ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, '--input-type=module', '--eval', script],
      { encoding: 'utf8', cwd: path.join(import.meta.dirname, '../..') },
    );
    assert.equal(stdout, 'not-started-EMFILE true', stderr);
  });

  it('tells in the same way, once its caller knows it, of one that Node throws for: a program that is being written', async () => {
    const { execPath } = process;
    process.execPath = path.join(directory, 'program');
    await writeFile(process.execPath, '#!/bin/sh\n', { mode: 0o755 });
    const writing = await open(process.execPath, 'r+');
    try {
      const { child, exit } = start();
      child.send({});
      child.kill('SIGKILL');
      assert.equal(child.exited, false);
      assert.equal(child.pid, 0);
      assert.equal(await exit, 'not-started-ETXTBSY');
    } finally {
      process.execPath = execPath;
      await writing.close();
    }
  });

  it('says by which signal it ended', async () => {
    const { child, exit } = start();
    child.kill('SIGKILL');
    assert.equal(await exit, 'SIGKILL');
  });
});

describe('restart back-off', () => {
  it('starts the first time at once, then waits twice as long each time, up to the cap', () => {
    const backoff = new Backoff(100, 1000);
    assert.deepEqual(
      Array.from({ length: 7 }, () => backoff.next(50)),
      [0, 100, 200, 400, 800, 1000, 1000],
    );
  });

  it('forgets after a long life', () => {
    const backoff = new Backoff(100, 1000);
    for (let count = 0; count < 5; count += 1) backoff.next(50);
    assert.equal(backoff.next(1001), 0);
    assert.equal(backoff.next(50), 100);
  });
});
