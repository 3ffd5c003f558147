import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLogger, REDACTED_KEYS } from '../../src/telemetry/logger.ts';

const capture = (level: 'debug' | 'info' | 'silent' = 'info') => {
  const lines: Record<string, unknown>[] = [];
  const logger = createLogger({
    level,
    role: 'worker',
    pid: 42,
    destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  });
  return { logger, lines };
};

describe('logger', () => {
  it('writes level, time, role and process id with each message', () => {
    const { logger, lines } = capture();
    logger.info({ pool: 'app' }, 'swapped');
    const { time, ...rest } = lines[0]!;
    assert.match(String(time), /^\d{4}-\d\d-\d\dT.*Z$/);
    assert.deepEqual(rest, { level: 'info', role: 'worker', pid: 42, pool: 'app', message: 'swapped' });
  });

  it('keeps to its level', () => {
    const { logger, lines } = capture();
    logger.debug('no');
    const silent = capture('silent');
    silent.logger.error('no');
    assert.equal(lines.length + silent.lines.length, 0);
  });

  it('hides credentials at the top and one level down', () => {
    const { logger, lines } = capture();
    const secrets = Object.fromEntries(REDACTED_KEYS.map((key) => [key, 'hunter2']));
    logger.info({ ...secrets, request: { ...secrets, path: '/x' } }, 'hidden');
    const text = JSON.stringify(lines);
    assert.ok(!text.includes('hunter2') && text.includes('/x'));
  });

  it('prints errors with their message, code and cause', () => {
    const { logger, lines } = capture();
    const error = Object.assign(new Error('outer', { cause: new Error('inner') }), { code: 'ECONNREFUSED' });
    logger.warn({ error }, 'failed');
    const text = JSON.stringify(lines);
    assert.ok(text.includes('outer') && text.includes('inner') && text.includes('ECONNREFUSED'));
  });
});
