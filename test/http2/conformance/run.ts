// Command: h2spec --strict against the codec alone and against Portico's listeners, cleartext and TLS.

import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import process from 'node:process';
import { certificateFor } from '../../support/certificates.ts';
import { readOptions } from '../../support/command-line.ts';
import { DataPlane } from '../../support/data-plane.ts';
import { MissingToolError } from '../../support/go-build.ts';
import { listenerConfig, snapshotOf } from '../../support/snapshots.ts';
import { httpsListener, secretsOf } from '../../support/tls.ts';
import { startCodecServer } from './codec-server.ts';
import { buildH2spec, CASES, runH2spec } from './h2spec.ts';

/** Long enough for every case: some need a window smaller than the answer. */
const BODY = 'Portico answers for its target.\n';
/**
 * Cleartext ports speak HTTP/1.1 too unless they have `http2.only`. Such a port answers bytes that are neither protocol with 400, as HTTP/1.1 asks (RFC 9112, section
 * 2.2); h2spec wants the connection closed without a word.
 */
const BOTH_PROTOCOLS = '2: Sends invalid connection preface';

const USAGE = `Usage: npm run test:h2spec -- [OPTIONS]

  -h, --help  print this

Every case of h2spec, which is built on first use and kept in .cache: needs Go. Some seconds after that.
Exit codes: 1 a case failed, 69 there is no Go.
`;

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

async function run(): Promise<boolean> {
  const program = await buildH2spec(say);
  const codec = await startCodecServer();
  // It answers requests that have ended, not those that a case is about to break: otherwise their answer may come first.
  const backend = http.createServer((request, response) => {
    request.resume().on('end', () => response.end(BODY));
  });
  backend.listen(0, '127.0.0.1');
  await once(backend, 'listening');
  const { port: backendPort } = backend.address() as AddressInfo;
  const plane = new DataPlane();
  plane.apply(
    snapshotOf({
      listeners: [
        listenerConfig(),
        listenerConfig({ name: 'only', http2: { ...listenerConfig().http2, only: true } }),
        httpsListener(1),
      ],
      pools: [{ targets: [`127.0.0.1:${backendPort}`] }],
    }),
    secretsOf([await certificateFor('localhost')]),
  );
  const subjects: readonly (readonly [
    name: string,
    port: number,
    tls: boolean,
    explained: readonly string[],
  ])[] = [
    ['codec, cleartext', codec.port, false, []],
    ['Portico, cleartext', plane.port('only'), false, []],
    ['Portico, cleartext beside HTTP/1.1', plane.port('web'), false, [BOTH_PROTOCOLS]],
    ['Portico, TLS', plane.port('tls'), true, []],
  ];
  let good = true;
  for (const [name, port, tls, explained] of subjects) {
    const { passed, skipped, failed, output } = await runH2spec(program, port, tls);
    say(`${name}: ${passed} of ${CASES} passed, ${skipped} skipped, ${failed} failed`);
    const fits = failed === explained.length && explained.every((text) => output.includes(`\u00d7 ${text}`));
    if (fits) for (const text of explained) say(`  as is right for a port that speaks HTTP/1.1 too: ${text}`);
    else say(output);
    good &&= fits && passed + failed === CASES;
  }
  await plane.close();
  backend.close();
  await codec.close();
  return good;
}

readOptions('test:h2spec', USAGE, {});
try {
  process.exitCode = (await run()) ? 0 : 1;
} catch (error) {
  if (!(error instanceof MissingToolError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 69;
}
