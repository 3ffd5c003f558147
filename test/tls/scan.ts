// `npm run test:tls`: a running Portico before sslyze and testssl.sh. Ends with 1 for anything of medium or higher severity.

import { execFile } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Backend, configuration } from '../integration/load.ts';
import { Portico } from '../integration/portico.ts';
import { Authority, type Issued } from '../support/authority.ts';
import { readOptions } from '../support/command-line.ts';
import { requirePeers } from '../support/peers.ts';

const run = promisify(execFile);
const ROOT = path.join(import.meta.dirname, '../..');
const HOST = 'scan.example.com';
const SSLYZE = 'sslyze==6.3.1';
const PACKAGES = path.join(ROOT, '.cache/sslyze');
/** The severities that testssl.sh gives to findings. */
const BAD = new Set(['MEDIUM', 'HIGH', 'CRITICAL', 'FATAL', 'WARN']);
/**
 * testssl.sh's client for this check has nothing to say and leaves as soon as its handshake is over, which is before tickets of TLS
 * 1.3 can come: then it says so, of any server. That tickets resume sessions is for test/proxy/tls/tickets.test.ts.
 */
const LEFT_TOO_EARLY = 'WARN sessionresumption_ticket: check failed because of connect problem';
const LIMIT_MS = 480_000;
const OUTPUT_BYTES = 16 * 1024 * 1024;
const USAGE = `Usage: npm run test:tls -- [OPTIONS]

  -h, --help  print this

Linux, Python with pip, testssl.sh; sslyze is installed into .cache on first use. Two to three minutes. Exit code 1: a
finding of medium or higher severity.
`;

/** Fields that are an application's to set, and that testssl.sh misses. */
const APPLICATION = {
  responseHeaders: {
    set: {
      'content-security-policy': "default-src 'none'",
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    },
  },
};

interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

/** The environment with sslyze's packages, installed on first use. */
async function sslyzeEnvironment(): Promise<NodeJS.ProcessEnv> {
  const { pip3 } = requirePeers(['pip3']);
  await mkdir(PACKAGES, { recursive: true });
  const env = { ...process.env, PYTHONPATH: PACKAGES };
  const isThere = await run('python3', ['-c', 'import sslyze'], { env }).then(
    () => true,
    () => false,
  );
  if (!isThere)
    await run(pip3, ['install', '--quiet', '--target', PACKAGES, SSLYZE], { maxBuffer: OUTPUT_BYTES });
  return env;
}

/** sslyze's check against Mozilla's profile: the lines that say what is not as it should be. */
async function sslyze(
  port: number,
  profile: 'intermediate' | 'modern',
  ca: string,
): Promise<readonly string[]> {
  const env = await sslyzeEnvironment();
  const parameters = [
    '-m',
    'sslyze',
    '--mozilla_config',
    profile,
    '--certinfo_ca_file',
    ca,
    `${HOST}:${port}{127.0.0.1}`,
  ];
  const { stdout } = await run('python3', parameters, {
    env,
    timeout: LIMIT_MS,
    maxBuffer: OUTPUT_BYTES,
  }).catch((error: { stdout?: string; stderr?: string; code?: number }) => {
    // It ends with 1 when the server is not compliant: what it printed says why.
    if (error.code !== 1 || error.stdout === undefined) throw error;
    return { stdout: error.stdout };
  });
  const verdict = stdout.slice(stdout.indexOf('COMPLIANCE AGAINST'));
  if (/: OK - Compliant\./.test(verdict)) return [];
  const lines = verdict
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('*') || line.includes('FAILED'));
  return lines.length === 0 ? [stdout.slice(-2000)] : lines;
}

/** Findings of testssl.sh of medium or higher severity. */
async function testssl(port: number, authority: Authority): Promise<readonly string[]> {
  const program = requirePeers(['testssl']).testssl;
  const report = authority.path(`testssl-${port}.json`);
  const parameters = [
    ...[
      '--quiet',
      '--color',
      '0',
      '--warnings',
      'off',
      '--ip',
      '127.0.0.1',
      '--add-ca',
      authority.path('ca.pem'),
    ],
    ...['--jsonfile', report, `${HOST}:${port}`],
  ];
  // Its exit code counts findings of every severity.
  // GOST needs an engine that most openssl lack: a warning about the scanner's machine, not about what it scans.
  const env = { ...process.env, NO_ENGINE: 'true' };
  await run(program, parameters, { timeout: LIMIT_MS, maxBuffer: OUTPUT_BYTES, env }).catch(
    (error: { code?: unknown }) => {
      if (typeof error.code !== 'number') throw error;
    },
  );
  const findings = JSON.parse(await readFile(report, 'utf8')) as readonly Finding[];
  if (!findings.some(({ id }) => id === 'TLS1_3')) throw new Error('testssl.sh did not come to an end');
  process.stdout.write(`  testssl.sh made ${findings.length} findings\n`);
  return findings
    .filter(({ severity }) => BAD.has(severity))
    .map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`)
    .filter((text) => text !== LEFT_TOO_EARLY);
}

async function main(): Promise<number> {
  const authority = await Authority.create();
  const backend = await Backend.start();
  const extensions = [
    'keyUsage=critical,digitalSignature',
    'extendedKeyUsage=serverAuth',
    'basicConstraints=critical,CA:FALSE',
    'subjectKeyIdentifier=hash',
    'authorityKeyIdentifier=keyid',
    'authorityInfoAccess=OCSP;URI:http://ocsp.example.com',
  ];
  // A lifetime that no profile complains of.
  const issue = (key: 'ec' | 'rsa'): Promise<Issued> =>
    authority.issue({ names: [HOST], subject: `/CN=${HOST}`, key, days: 85, extensions });
  const pairs = [await issue('ec'), await issue('rsa')];
  const certificates = pairs.map(({ certPath: cert, keyPath: key }) => ({ cert, key }));
  const listener = (profile: string): object => ({
    name: profile,
    bind: '127.0.0.1:0',
    protocol: 'https',
    hsts: true,
    tls: { certificates: profile === 'modern' ? certificates.slice(0, 1) : certificates, profile },
  });
  const portico = await Portico.start(
    configuration(backend, {
      listeners: [listener('intermediate'), listener('modern')],
      routes: [{ name: 'all', hosts: ['*'], rules: [{ filters: [APPLICATION], pools: [{ name: 'app' }] }] }],
    }),
  );
  let failed = 0;
  const report = (what: string, problems: readonly string[]): void => {
    process.stdout.write(`${problems.length === 0 ? 'pass' : 'FAIL'}  ${what}\n`);
    for (const problem of problems) process.stdout.write(`      ${problem}\n`);
    failed += problems.length;
  };
  try {
    const ca = authority.path('ca.pem');
    for (const profile of ['intermediate', 'modern'] as const) {
      report(`sslyze: ${profile}`, await sslyze(portico.port(profile), profile, ca));
    }
    report('testssl.sh: intermediate', await testssl(portico.port('intermediate'), authority));
  } finally {
    await portico.close();
    await backend.close();
    await authority.close();
  }
  return failed === 0 ? 0 : 1;
}

readOptions('test:tls', USAGE, {});
process.exitCode = await main();
