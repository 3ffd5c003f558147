// Command: h2spec --strict against the codec alone and against Portico's listeners, cleartext and TLS.
// usage: node test/http2/conformance/run.ts

import process from 'node:process';
import { certificateFor } from '../../support/certificates.ts';
import { answering, DataPlane, RawServer } from '../../support/data-plane.ts';
import { MissingToolError } from '../../support/go-build.ts';
import { listenerConfig, snapshotOf } from '../../support/snapshots.ts';
import { httpsListener, secretsOf } from '../../support/tls.ts';
import { startCodecServer } from './codec-server.ts';
import { buildH2spec, CASES, runH2spec } from './h2spec.ts';

/** Long enough for every case: some need a window smaller than the answer. */
const BODY = 'Portico answers for its target.\n';
/**
 * A port that speaks HTTP/1.1 too answers bytes that are neither protocol with 400, as HTTP/1.1 asks (RFC 9112, section
 * 2.2); h2spec wants the connection closed without a word.
 */
const BOTH_PROTOCOLS = '2: Sends invalid connection preface';

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

async function run(): Promise<boolean> {
  const program = await buildH2spec(say);
  const codec = await startCodecServer();
  const backend = await new RawServer(
    answering(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`),
  ).listen();
  const plane = new DataPlane();
  plane.apply(
    snapshotOf({ listeners: [listenerConfig(), httpsListener(1)], pools: [{ targets: [backend.at] }] }),
    secretsOf([await certificateFor('localhost')]),
  );
  const subjects: readonly (readonly [
    name: string,
    port: number,
    tls: boolean,
    explained: readonly string[],
  ])[] = [
    ['codec, cleartext', codec.port, false, []],
    ['Portico, cleartext', plane.port('web'), false, [BOTH_PROTOCOLS]],
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
  await backend.close();
  await codec.close();
  return good;
}

try {
  process.exitCode = (await run()) ? 0 : 1;
} catch (error) {
  if (!(error instanceof MissingToolError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 69;
}
