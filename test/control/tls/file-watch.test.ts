// Files that change are noticed at once, also where whole directories are put in the place of others.

import assert from 'node:assert/strict';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileWatch } from '../../../src/control/tls/file-watch.ts';
import { eventually, HandClock, recordLog, temporaryDirectory } from '../discovery/world.ts';

/** Several changes are looked at together after so long. */
const SETTLE_MS = 100;

test('a file is watched in the directory that has taken the place of the one before', async (t) => {
  const clock = new HandClock();
  const changes: string[] = [];
  const watch = new FileWatch({ clock, log: recordLog().log, onChange: (path) => changes.push(path) });
  t.after(() => watch.close());
  const directory = temporaryDirectory(t);
  const path = join(directory, 'live', 'tls.crt');
  for (const name of ['live', 'next']) {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'tls.crt'), name);
  }
  await watch.setPaths([path]);
  /** Without the sweep, which is 30 s away. */
  const told = (count: number): Promise<void> =>
    eventually(() => {
      if ((clock.waits[0] ?? Number.POSITIVE_INFINITY) <= SETTLE_MS) clock.advance(SETTLE_MS);
      return changes.length === count;
    });
  renameSync(join(directory, 'live'), join(directory, 'former'));
  renameSync(join(directory, 'next'), join(directory, 'live'));
  await told(1);
  writeFileSync(path, 'written in place');
  await told(2);
  assert.deepEqual(changes, [path, path]);
});
