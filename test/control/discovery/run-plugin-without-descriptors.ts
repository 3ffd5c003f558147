// Runs an exec plugin in a process that has no descriptor left, and prints what becomes of it.

import { openSync, writeSync } from 'node:fs';
import { runExecPlugin } from '../../../src/control/discovery/exec-credential.ts';
import { HandClock } from './world.ts';

const plugin = {
  apiVersion: 'client.authentication.k8s.io/v1',
  command: process.execPath,
  args: ['--version'],
  env: {},
  installHint: '',
  provideClusterInfo: false,
  clusterConfig: null,
};
const server = {
  url: new URL('https://127.0.0.1'),
  serverName: null,
  skipTlsVerify: false,
  ca: { data: null, file: null },
  clientCertificate: { data: null, file: null },
  clientKey: { data: null, file: null },
  token: null,
  tokenFile: null,
  basic: null,
  impersonateUser: null,
  exec: plugin,
};

try {
  for (;;) openSync('/dev/null', 'r');
} catch {
  // None is left.
}
const { signal } = new AbortController();
try {
  await runExecPlugin({ plugin, server, ca: null, environment: {}, clock: new HandClock(), signal });
} catch (error) {
  writeSync(1, `${(error as Error).message}\n`);
}
