import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { pino } from 'pino';
import type { DrainAnswer, ExplanationAnswer, ReloadAnswer } from '../../src/cli/admin-answers.ts';
import { check, explain, reload, schema, targets } from '../../src/cli/commands.ts';
import { drain, undrain } from '../../src/cli/drain-commands.ts';
import { type ParsedArguments, parseArguments } from '../../src/cli/parse-arguments.ts';
import type { CliIo } from '../../src/cli/terminal.ts';
import { type AdminServer, createAdminServer } from '../../src/control/admin/admin-server.ts';
import type {
  DrainOutcome,
  DrainSubject,
  Explanation,
  ReloadOutcome,
} from '../../src/control/admin/admin-source.ts';
import { kubeconfigFault } from '../../src/control/discovery/credential-files.ts';
import { EXCLUDED, FakeSource, TARGET } from '../control/admin/fake-source.ts';
import { certificateFor } from '../support/certificates.ts';

// The command line must not import the controller, so the two descriptions of the answers are held together here.
type Found = Omit<Extract<DrainOutcome, { found: true }>, 'found'> & DrainSubject;
const sameShapes: [
  (answer: Explanation) => ExplanationAnswer,
  (answer: ReloadOutcome) => ReloadAnswer,
  (answer: Found) => DrainAnswer,
] = [(answer) => answer, (answer) => answer, (answer) => answer];

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let source: FakeSource;
let server: AdminServer;
let directory = '';
before(async () => {
  assert.equal(sameShapes.length, 3);
  directory = await mkdtemp(join(tmpdir(), 'portico-cli-'));
});
after(() => rm(directory, { recursive: true }));
beforeEach(async () => {
  source = new FakeSource();
  server = createAdminServer({
    config: { host: '127.0.0.1', port: 0, unixPath: null, tokenFile: null, hosts: [] },
    source,
    logger: pino({ level: 'silent' }),
  });
  await server.listen();
});
afterEach(() => server.close(100));

async function run(words: readonly string[], part: Partial<CliIo> = {}): Promise<Run> {
  let out = '';
  let err = '';
  let now = 0;
  const io: CliIo = {
    stdout: (text) => {
      out += text;
    },
    stderr: (text) => {
      err += text;
    },
    env: { PORTICO_ADMIN: server.address },
    isTerminal: { stdout: false, stderr: false },
    now: () => now,
    wallClock: () => Date.now(),
    sleep: (ms) => {
      now += ms;
      return Promise.resolve();
    },
    ...part,
  };
  const code = await dispatch(parseArguments(words), io);
  return { code, out, err };
}

function dispatch(parsed: ParsedArguments, io: CliIo): Promise<number> {
  switch (parsed.command) {
    case 'check':
      return check(parsed.options, io, kubeconfigFault);
    case 'schema':
      return schema(io);
    case 'targets':
      return targets(parsed.options, io);
    case 'explain':
      return explain(parsed.options, io);
    case 'reload':
      return reload(parsed.options, io);
    case 'drain':
      return drain(parsed.options, io);
    case 'undrain':
      return undrain(parsed.options, io);
    default:
      throw new Error(JSON.stringify(parsed));
  }
}

describe('portico targets', () => {
  it('prints an aligned table without colour when it is not a terminal', async () => {
    const { code, out, err } = await run(['targets', 'unicorn']);
    assert.deepEqual([code, err], [0, '']);
    assert.equal(
      out,
      [
        'POOL     NODE      ADDRESS    PORT  WEIGHT  STATE     HEALTH   REASONS',
        'unicorn  worker-1  10.0.0.1  30080       2  active    healthy  local-endpoints',
        'unicorn  worker-2  10.0.0.2  30080       0  excluded  unknown  excluded-label',
        '',
      ].join('\n'),
    );
  });

  it('uses colour on a terminal, not with NO_COLOR', async () => {
    const isTerminal = { stdout: true, stderr: true };
    assert.ok((await run(['targets'], { isTerminal })).out.includes('\u001b[32mactive'));
    for (const extra of [{ NO_COLOR: '1' }, { TERM: 'dumb' }]) {
      const { out } = await run(['targets'], {
        isTerminal,
        env: { PORTICO_ADMIN: server.address, ...extra },
      });
      assert.ok(!out.includes('\u001b'));
    }
  });

  it('prints the whole answer with --json', async () => {
    const { out } = await run(['targets', '--json', '--cluster', 'iad']);
    assert.deepEqual(JSON.parse(out), { targets: [TARGET, EXCLUDED], truncated: false });
    assert.deepEqual(source.calls, ['targets null iad']);
  });

  it('says that a pool is unknown and ends with 1', async () => {
    const { code, out, err } = await run(['targets', 'absent']);
    assert.deepEqual([code, out, err], [1, '', 'portico: There is no pool absent.\n']);
  });

  it('prints the reasons in words with --why: since when, by what, and what would change them', async () => {
    const { code, out } = await run(['targets', '--state', 'excluded', '--why']);
    assert.equal(code, 0);
    assert.equal(
      out,
      [
        'unicorn  github-production/unicorn  iad/worker-2  10.0.0.2:30080',
        '  excluded, unknown, weight 0',
        '  since 1970-01-01T00:00:00.001Z by service:2; decided by node:1 service:2',
        '  excluded-label: The node carries the exclude label.',
        '    fix: Remove the label.',
        '',
      ].join('\n'),
    );
  });

  it('says when there are more targets than one answer holds', async () => {
    source.targets = (_, limit) => Array.from({ length: limit }, () => TARGET);
    const { code, out, err } = await run(['targets']);
    assert.deepEqual([code, out.split('\n').length], [0, 10_002]);
    assert.match(err, /^These are the first 10000; narrow them/);
  });

  it('keeps names from steering the terminal', async () => {
    source.targets = () => [{ ...TARGET, node: 'evil\u001b[2J\nnode' }];
    const { out } = await run(['targets']);
    assert.ok(!out.includes('\u001b') && out.split('\n').length === 3);
    assert.ok(out.includes('evil\\u001b[2J\\u000anode'));
  });

  it('names the cluster when there are several, and shows IPv6, missing parts and the last resort', async () => {
    source.targets = () => [
      { ...TARGET, address: '2001:db8::1', lastResort: true },
      { ...TARGET, cluster: 'sea', address: '', port: 0 },
      { ...TARGET, cluster: null, node: null, service: null },
    ];
    const { out } = await run(['targets']);
    assert.match(out, /iad\/worker-1 +2001:db8::1 +30080 +2 +active \(last resort\)/);
    assert.match(out, /sea\/worker-1 +- +- +2/);
    assert.match(out, /unicorn +- +10\.0\.0\.1/);
  });
});

describe('portico explain', () => {
  it('tells nodes, services and urls apart', async () => {
    const node = await run(['explain', 'worker-2']);
    assert.equal(node.code, 0);
    assert.match(node.out, /Node worker-2: 1 target/);
    assert.match(
      node.out,
      /excluded-label: The node carries the exclude label\.\n {4}fix: Remove the label\./,
    );
    assert.match((await run(['explain', 'github-production/unicorn'])).out, /Service .*: 2 targets/);
    const url = await run(['explain', 'https://fix.example.com/a?b', '--method', 'PUT', '--header', 'A: 1']);
    assert.match(url.out, /^PUT https:\/\/fix\.example\.com\/a\?b\n/);
    assert.match(url.out, /route {5}github\n/);
    assert.match(url.out, /captures {2}branch=fix\n/);
    assert.match(url.out, /1\. Listener web takes it\./);
    assert.match(url.out, /Pool unicorn, weight 95: would go to 10\.0\.0\.1:30080/);
  });

  it('ends with 1 for what nobody knows', async () => {
    const { code, err } = await run(['explain', 'absent']);
    assert.deepEqual([code, err], [1, 'portico: Nothing is known of this node.\n']);
  });
});

describe('portico reload, drain and undrain', () => {
  it('reloads, and prints the problems of a refused configuration', async () => {
    assert.equal((await run(['reload'])).out, 'Reloaded; snapshot 8 is in force.\n');
    source.reloadProblems = ['a.yaml:3:1: unknown key'];
    const { code, err } = await run(['reload']);
    assert.equal(code, 1);
    assert.match(err, /a\.yaml:3:1: unknown key\n.*stays in force/);
  });

  it('finds the cluster of a node by itself when only one has it', async () => {
    const { code, out } = await run(['drain', 'worker-1']);
    assert.deepEqual([code, out], [0, 'Node worker-1 takes no new flow; 0 flows left.\n']);
    assert.equal(source.calls.at(-1), 'drain iad worker-1');
    source.targets = () => [TARGET, { ...TARGET, cluster: 'sea' }];
    assert.match((await run(['drain', 'worker-1'])).err, /--cluster: iad, sea/);
    assert.match((await run(['drain', 'absent'])).err, /no cluster has a node absent/);
    assert.equal((await run(['undrain', 'worker-1', '--cluster', 'iad'])).code, 0);
  });

  it('takes the name of a cluster, or --cluster alone, as the whole cluster', async () => {
    const { code, out } = await run(['drain', 'iad']);
    assert.deepEqual([code, out], [0, 'Cluster iad takes no new flow; 0 flows left.\n']);
    assert.equal(source.calls.at(-1), 'drain iad null');
    assert.equal((await run(['undrain', '--cluster', 'iad'])).out, 'Cluster iad is used again.\n');
    assert.equal(source.calls.at(-1), 'undrain iad null');
  });

  it('asks what is meant when a node has the name of a cluster', async () => {
    source.targets = () => [{ ...TARGET, node: 'iad' }];
    const { code, err } = await run(['drain', 'iad']);
    assert.equal(code, 1);
    assert.match(err, /iad is a cluster and a node; write --cluster iad alone/);
  });

  it('ends the drain of a node that has left the cluster since', async () => {
    source.targets = () => [];
    source.inForce = [{ cluster: 'iad', node: 'worker-1', sinceMs: 1 }];
    assert.equal((await run(['undrain', 'worker-1'])).code, 0);
    assert.equal(source.calls.at(-1), 'undrain iad worker-1');
  });

  it('says when a drain is not on disk', async () => {
    source.kept = false;
    const { code, err } = await run(['drain', 'worker-1', '--cluster', 'iad']);
    assert.deepEqual([code, err], [0, 'The drain is not on disk: it ends when Portico is stopped.\n']);
  });

  it('says when the end of a drain is not on disk', async () => {
    source.kept = false;
    const { code, err } = await run(['undrain', 'worker-1', '--cluster', 'iad']);
    assert.deepEqual(
      [code, err],
      [0, 'This is not on disk: a drain that is comes back when Portico is stopped and started.\n'],
    );
  });

  it('waits until no flow is left', async () => {
    source.flows = 2;
    const { code, out } = await run(['drain', 'worker-1', '--wait', '--json'], {
      sleep: () => {
        source.flows -= 1;
        return Promise.resolve();
      },
    });
    assert.equal(code, 0);
    assert.deepEqual(JSON.parse(out), {
      cluster: 'iad',
      node: 'worker-1',
      state: 'gone',
      draining: true,
      drained: true,
      flows: 0,
      kept: true,
    });
    assert.ok(source.calls.includes('drained 5000 iad worker-1'), 'the barrier waits on the other side');
  });

  it('gives up waiting at its deadline', async () => {
    source.flows = 1;
    const { code, err } = await run(['drain', 'worker-1', '--wait', '--timeout', '2s']);
    assert.deepEqual([code, err], [1, 'Node worker-1 was not drained in time.\n']);
    assert.ok(source.calls.filter((call) => call.startsWith('drained')).length > 1);
  });
});

describe('the admin address', () => {
  it('may be a UNIX socket', async () => {
    const unixPath = join(directory, 'admin.sock');
    const local = createAdminServer({
      config: { host: '', port: 0, unixPath, tokenFile: null, hosts: [] },
      source,
      logger: pino({ level: 'silent' }),
    });
    await local.listen();
    assert.equal((await run(['reload', '--admin', `unix:${unixPath}`])).code, 0);
    await local.close(100);
    const gone = await run(['reload', '--admin', `unix:${unixPath}`]);
    assert.equal(gone.code, 1);
    assert.match(gone.err, /nobody listens there; is Portico running\?/);
  });

  it('is refused when it is none', async () => {
    for (const address of ['127.0.0.1:9901', 'unix:', 'ftp://x', 'http://']) {
      const { code, err } = await run(['targets', '--admin', address]);
      assert.equal(code, 2);
      assert.match(err, /is not an admin address/);
    }
  });

  it('may belong to something else, which is said and not printed', async () => {
    let body = '<html>';
    const other: Server = createServer((_, response) => response.end(body));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    for (body of ['<html>', '{}', '{"targets":[1]}', '{"targets":[{"pool":"a"}]}', 'null', '{"error":5}']) {
      const { code, err } = await run(['targets', '--admin', `http://127.0.0.1:${port}`]);
      assert.equal(code, 1);
      assert.match(err, /is not Portico's admin HTTP/);
    }
    other.closeAllConnections();
    await new Promise((resolve) => other.close(resolve));
  });

  it('gets the token of the file, or of the environment', async () => {
    const seen: (string | undefined)[] = [];
    const spy: Server = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.setHeader('content-type', 'application/json');
      response.end('{"ok":true,"version":1,"problems":[]}');
    });
    await new Promise<void>((resolve) => spy.listen(0, '127.0.0.1', resolve));
    const { port } = spy.address() as { port: number };
    const file = join(directory, 'token');
    await writeFile(file, 'abc\n');
    const admin = ['--admin', `http://127.0.0.1:${port}`];
    await run(['reload', ...admin, '--token-file', file]);
    await run(['reload', ...admin], { env: { PORTICO_ADMIN_TOKEN: 'def' } });
    await run(['reload', ...admin]);
    assert.deepEqual(seen, ['Bearer abc', 'Bearer def', undefined]);
    const missing = await run(['reload', ...admin, '--token-file', join(directory, 'absent')]);
    assert.match(missing.err, /token file cannot be read/);
    spy.closeAllConnections();
    await new Promise((resolve) => spy.close(resolve));
  });
});

describe('portico check and schema', () => {
  it('passes a valid file and reports every problem of a bad one with its place', async () => {
    const good = join(directory, 'good.yaml');
    const bad = join(directory, 'bad.yaml');
    const text = [
      'listeners: [{ name: web, bind: "127.0.0.1:8080", protocol: http }]',
      'pools: [{ name: app, sources: [{ static: ["127.0.0.1:9001"] }] }]',
      'routes: [{ name: all, hosts: ["*"], rules: [{ pools: [{ name: app }] }] }]',
      '',
    ].join('\n');
    await writeFile(good, text);
    await writeFile(bad, text.replace('name: app }]', 'name: absent }]').replace('protocol', 'protocl'));
    const passed = await run(['check', good]);
    assert.equal(passed.code, 0, passed.err);
    assert.match(passed.out, /good\.yaml: valid/);
    const failed = await run(['check', bad]);
    assert.deepEqual([failed.code, failed.out], [1, '']);
    assert.match(failed.err, /bad\.yaml:1:\d+: /);
    assert.match(failed.err, /bad\.yaml: [2-9] problems\n$/);
    const json = await run(['check', bad, '--json']);
    const { ok, problems } = JSON.parse(json.out) as { ok: boolean; problems: { line: number }[] };
    assert.deepEqual([json.code, ok, problems[0]?.line], [1, false, 1]);
    assert.equal((await run(['check', join(directory, 'absent.yaml')])).code, 1);
  });

  it('shows the certificates of a valid file and when they end, and warns of those that end soon', async () => {
    const { cert, key } = await certificateFor('a.example.com', 'b.example.com');
    await writeFile(join(directory, 'tls.crt'), cert);
    await writeFile(join(directory, 'tls.key'), key);
    const file = join(directory, 'tls.yaml');
    const certificates =
      '[{ cert: tls.crt, key: tls.key }, { secret: { cluster: iad, name: web/www.example } }]';
    const text = [
      'clusters: [{ name: iad, inCluster: true }]',
      `listeners: [{ name: web, bind: "127.0.0.1:8080", protocol: https, tls: { certificates: ${certificates} } }]`,
      'routes: [{ name: all, hosts: ["*"], rules: [{ respond: { status: 200 } }] }]',
      '',
    ].join('\n');
    await writeFile(file, text);
    const passed = await run(['check', file]);
    assert.equal(passed.code, 0, passed.err);
    assert.match(passed.out, /^CERTIFICATE +LISTENERS +NAMES +EXPIRES$/m);
    assert.match(passed.out, /tls\.crt +web +a\.example\.com, b\.example\.com +\d{4}-\d\d-\d\d \(\d d\)$/m);
    assert.match(passed.out, /^iad\/web\/www\.example +web +- +read when Portico runs$/m);
    assert.match(passed.out, /valid, 1 warning/);
    assert.match(passed.err, /certificate "[^"]*tls\.crt" expires on /);
    const later = await run(['check', file], { wallClock: () => Date.now() + 3 * 86_400_000 });
    assert.match(later.out, /\(expired\)$/m);
    const { certificates: rows } = JSON.parse((await run(['check', file, '--json'])).out) as {
      certificates: object[];
    };
    assert.equal(rows.length, 2);
  });

  it('prints a JSON Schema', async () => {
    const { out } = await run(['schema']);
    assert.ok(Object.hasOwn(JSON.parse(out) as object, '$schema'));
  });
});
