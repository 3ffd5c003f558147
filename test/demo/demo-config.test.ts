// The configuration that the demo writes, as Portico reads it.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseConfig } from '../../src/config/parse.ts';
import { demoConfig } from '../../src/demo/demo-config.ts';
import { SERVICES, serviceName } from '../../src/demo/objects.ts';

it('the demo’s configuration is valid, without a warning, and names only services that the demo has', () => {
  const text = demoConfig({ httpPort: 8080, sshPort: 2222, adminPort: 9901, kubeProxyPort: 10256 });
  const result = parseConfig(text, { file: 'config.yaml', env: {}, baseDirectory: '/demo' });
  assert.ok('config' in result, JSON.stringify(result));
  assert.deepEqual(result.warnings, []);
  const known = SERVICES.map(serviceName);
  for (const { sources } of result.config.pools) {
    for (const { namespace, service } of sources)
      assert.ok(known.includes(`${namespace}/${service}`), String(service));
  }
  const lab = result.config.routes
    .flatMap(({ rules }) => rules)
    .find(({ action }) => action.kind === 'service');
  assert.ok(lab?.action.kind === 'service');
  assert.ok(known.includes(lab.action.service.replace('{branch}', 'fix-login')));
});
