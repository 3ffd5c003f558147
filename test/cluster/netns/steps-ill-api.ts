// The API server answers, but not with the truth, or not in time.

import { setTimeout as delay } from 'node:timers/promises';
import type { FrontMode } from './api-front.ts';
import { follows } from './following.ts';
import type { NetStep } from './net-steps.ts';
import type { NetWorld } from './net-world.ts';
import { activeNodes, countsOf, restarts } from './staying.ts';

/** Back-off of a reflector may have grown to 30 s. */
const FOLLOW_LIMIT_MS = 35_000;
/** How long an ill API server is ill. */
const LIE_MS = { short: 6000, long: 15_000 };
/** What it said is looked at for so long at least: probes need less to have their say. */
const AFTER_A_LIE_MS = 4000;

export const ILL_API_STEPS: readonly NetStep[] = (
  [
    ['empty', 'empty lists', ['empty-list', 'expired']],
    ['half', 'a list with half of the nodes missing', ['expired', 'unlisted']],
    ['one-node', 'a list with one node missing', ['expired', 'unlisted']],
    ['one-service', 'a list with one service missing', ['expired', 'unlisted']],
    ['one-slice', 'a list with the endpoint slices of one service missing', ['expired', 'unlisted']],
    ['garbage', 'garbage', ['bad-list', 'bad-line']],
    ['slow', 'very slow', ['connection']],
    ['gone-list', '410 in the list', ['expired']],
    ['gone-stream', '410 in the stream', ['expired']],
    ['unauthorized-stream', '401 in the stream', ['unauthorized', 'stream-error']],
  ] as const
).map(
  ([mode, words, reasons]): NetStep => ({
    name: `api-${mode}`,
    title: `The API server answers: ${words}`,
    run: (world) => illApi(world, mode, words, reasons),
  }),
);

async function illApi(
  world: NetWorld,
  mode: FrontMode,
  words: string,
  reasons: readonly string[],
): Promise<void> {
  await world.settled();
  const mark = world.mark();
  const before = await activeNodes(world);
  const counted = await countsOf(world, reasons);
  await world.front.set(mode);
  let worst = '';
  let lies = 0;
  const startedAt = performance.now();
  const shortest = startedAt + (world.options.long ? LIE_MS.long : LIE_MS.short);
  // A reflector that still waits from the step before has not heard anything.
  let endAt = startedAt + FOLLOW_LIMIT_MS;
  while (performance.now() < endAt) {
    // A controller that answers late has not lost anything.
    const now = await activeNodes(world).catch(() => before);
    if (now !== before) worst = now;
    if (lies === 0) {
      lies = (await world.front.seen()).lies;
      if (lies > 0) endAt = Math.max(shortest, performance.now() + AFTER_A_LIE_MS);
    }
    await delay(100);
  }
  await world.front.set('pass');
  await world.promise(
    `API server: ${words}`,
    'no target lost, counted, recovery by itself, 0 failed',
    async () => {
      if (lies === 0) throw new Error('Portico never asked');
      if (worst !== '') throw new Error(`targets became ${worst}; before: ${before}`);
      const text = await follows(world, FOLLOW_LIMIT_MS);
      return `${text}; ${await restarts(world, reasons, counted)}; ${world.servedSince(mark)}`;
    },
  );
}
