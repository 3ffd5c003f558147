// The fault matrix on the wire: every row with real sockets, and a request after it that succeeds.

import assert from 'node:assert/strict';
import { after, afterEach, beforeEach, describe, it } from 'node:test';
import { assertNoSocketLeft } from '../support/data-plane.ts';
import { CLIENT } from './faults-client.ts';
import { CONNECTING } from './faults-connecting.ts';
import { TARGET } from './faults-target.ts';
import { TUNNELS } from './faults-tunnels.ts';
import { Scene } from './scene.ts';
import { parseSeries } from './series.ts';

describe('a fault on the wire', () => {
  let scene: Scene;

  beforeEach(async () => {
    scene = await Scene.open();
  });
  afterEach(() => scene.close());
  after(assertNoSocketLeft);

  for (const fault of [...CONNECTING, ...TARGET, ...CLIENT, ...TUNNELS]) {
    it(`${fault.part}: ${fault.name}`, async () => {
      assert.equal(await fault.play(scene), fault.client, 'what the client sees');
      if (fault.logged.startsWith('code ')) await scene.logged(fault.logged.slice(5));
      else if (fault.logged !== '-') {
        await scene.untilReason(fault.logged);
      } else {
        const reasons = (await scene.reasons()).filter((reason) => reason !== null);
        assert.deepEqual(reasons, [], 'nothing is logged as failed');
      }
      for (const text of fault.counted) {
        const { name, labels } = parseSeries(text);
        const fits = (series: string): boolean =>
          series.startsWith(name) && labels.every((label) => series.includes(label));
        await scene.until(() => scene.plane.metric(fits) > 0, `${text} to go up`);
      }
      await scene.heal();
      assert.equal(await scene.ask(), '200', 'a request after the fault');
    });
  }
});
