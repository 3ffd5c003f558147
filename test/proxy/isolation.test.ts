// No exchange sees anything of another, whatever its client, its target and everybody beside them do, and in whatever order.

import process from 'node:process';
import { after, before, describe, it } from 'node:test';
import type { Secrets } from '../../src/model/secrets.ts';
import { certificateFor } from '../support/certificates.ts';
import { assertNoSocketLeft } from '../support/data-plane.ts';
import { fc } from '../support/properties.ts';
import { secretsOf } from '../support/tls.ts';
import { chance, SCHEDULE } from './isolation/schedule.ts';
import { World } from './isolation/world.ts';

/** `ISOLATION_RUNS`: how many schedules; with `PROPERTY_SEED=random` each run of the tests has others. */
const RUNS = Number(process.env['ISOLATION_RUNS'] ?? 40);

/** On a machine that is too busy for all of them, and for a failure that is made small for too long. */
const LIMIT_MS = Math.max(120_000, RUNS * 1000);

describe('exchanges beside each other', () => {
  let secrets: Secrets;
  before(async () => {
    secrets = secretsOf([await certificateFor('a')]);
  });
  after(() => assertNoSocketLeft());

  it('get their own bytes, whole or not at all, once, and leave nothing', async () => {
    await fc.assert(
      fc.asyncProperty(SCHEDULE, async ([seed, steps]) => {
        const world = new World(secrets, chance(seed));
        try {
          await world.open();
          await world.run(steps);
        } catch (error) {
          throw new Error(`${error instanceof Error ? error.message : error}\n${world.story}`, {
            cause: error,
          });
        } finally {
          await world.close();
        }
      }),
      { numRuns: RUNS, interruptAfterTimeLimit: LIMIT_MS },
    );
  });
});
