// Gauges of the controller: what is gone must not look like a fault.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { ControllerMeters } from '../../src/control/controller-meters.ts';
import { MetricsBoard } from '../../src/telemetry/metrics-board.ts';

it('a certificate that is named no more has no time of expiry, and gets one when it comes back', () => {
  const board = new MetricsBoard();
  const meters = new ControllerMeters(board, { version: '0', node: '0' });
  const certificate = { certificate: '/tls.crt', names: [], fingerprint: '', notAfterMs: 2_000_000_000_000 };
  const shown = (): number => {
    const slot = board.gauge('portico_tls_certificate_not_after_timestamp_seconds', {
      certificate: '/tls.crt',
    });
    return board.values[slot]!;
  };
  meters.describe([], [], [certificate]);
  assert.equal(shown(), 2_000_000_000);
  meters.describe([], [], []);
  assert.ok(Number.isNaN(shown()));
  meters.describe([], [], [certificate]);
  assert.equal(shown(), 2_000_000_000);
});
