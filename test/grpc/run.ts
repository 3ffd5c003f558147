// Command: gRPC's interop cases with the Go client, the Go server and one of @grpc/grpc-js, Portico between, cleartext and TLS.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { certificateFor } from '../support/certificates.ts';
import { readOptions } from '../support/command-line.ts';
import { DataPlane } from '../support/data-plane.ts';
import { MissingToolError } from '../support/go-build.ts';
import { listenerConfig, snapshotOf } from '../support/snapshots.ts';
import { httpsListener, secretsOf } from '../support/tls.ts';
import { startGrpcJsServer } from './grpc-js-server.ts';
import { buildInterop, CASES, runCase, startGoServer } from './interop.ts';

const USAGE = `Usage: npm run test:grpc -- [OPTIONS] [CASE ...]

  -h, --help  print this

Cases (all of them without any): ${CASES.join(', ')}.
The Go client and server are built on first use, which takes minutes, and are kept in .cache: needs Go. Seconds after that.
Exit codes: 1 a case failed, 69 there is no Go.
`;

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

async function run(cases: readonly string[]): Promise<boolean> {
  const client = await buildInterop('client', say);
  const program = await buildInterop('server', say);
  const servers = [
    ['Go', () => startGoServer(program)],
    ['grpc-js', startGrpcJsServer],
  ] as const;
  let good = true;
  for (const [name, start] of servers) {
    const server = await start();
    try {
      good = (await runThrough(client, server.port, name, cases)) && good;
    } finally {
      await server.close();
    }
  }
  return good;
}

/** All cases through both listeners. */
async function runThrough(
  client: string,
  port: number,
  server: string,
  cases: readonly string[],
): Promise<boolean> {
  const directory = await mkdtemp(path.join(tmpdir(), 'portico-grpc-'));
  const plane = new DataPlane();
  let good = true;
  try {
    const pair = await certificateFor('localhost');
    const authority = path.join(directory, 'ca.pem');
    await writeFile(authority, pair.cert);
    plane.apply(
      snapshotOf({
        listeners: [listenerConfig(), httpsListener(1)],
        pools: [{ targets: [`127.0.0.1:${port}`], protocol: 'http2' }],
      }),
      secretsOf([pair]),
    );
    for (const [listener, trusted] of [
      ['web', null],
      ['tls', authority],
    ] as const) {
      for (const name of cases) {
        const complaint = await runCase(client, plane.port(listener), name, trusted);
        const passed = complaint === '';
        say(`${passed ? 'passed' : 'FAILED'}  ${server}  ${trusted === null ? 'cleartext' : 'TLS'}  ${name}`);
        if (!passed) say(complaint);
        good &&= passed;
      }
    }
  } finally {
    await plane.close();
    await rm(directory, { recursive: true });
  }
  return good;
}

const { positionals } = readOptions('test:grpc', USAGE, { allowPositionals: true });
try {
  process.exitCode = (await run(positionals.length > 0 ? positionals : CASES)) ? 0 : 1;
} catch (error) {
  if (!(error instanceof MissingToolError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 69;
}
