import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { COMMANDS, type CommandName, OPTIONS } from '../../src/cli/command-table.ts';
import { parseArguments } from '../../src/cli/parse-arguments.ts';

const usageOf = (line: string) => {
  const parsed = parseArguments(line.split(' ').filter((word) => word !== ''));
  assert.equal(parsed.command, 'usage', line);
  return parsed.command === 'usage' ? parsed.message : '';
};

const NO_TARGET_OPTIONS = {
  pool: null,
  cluster: null,
  node: null,
  service: null,
  state: null,
  reason: null,
  why: false,
  admin: null,
  json: false,
};

describe('command line', () => {
  it('reads every command with its options', () => {
    const cases: [string, unknown][] = [
      ['run -c a.yaml', { command: 'run', options: { config: 'a.yaml', logLevel: null } }],
      [
        'run --config=a.yaml --log-level debug',
        { command: 'run', options: { config: 'a.yaml', logLevel: 'debug' } },
      ],
      ['check a.yaml', { command: 'check', options: { file: 'a.yaml', json: false } }],
      ['check -c a.yaml --json', { command: 'check', options: { file: 'a.yaml', json: true } }],
      ['schema', { command: 'schema' }],
      [
        'demo --http-port 80 --ssh-port 2022',
        {
          command: 'demo',
          options: { httpPort: 80, sshPort: 2022, adminPort: null, logLevel: null },
        },
      ],
      [
        'targets unicorn --cluster iad --admin unix:/run/x',
        {
          command: 'targets',
          options: { ...NO_TARGET_OPTIONS, pool: 'unicorn', cluster: 'iad', admin: 'unix:/run/x' },
        },
      ],
      [
        'targets --node n1 --service a/b --state excluded --reason no-address --why',
        {
          command: 'targets',
          options: {
            ...NO_TARGET_OPTIONS,
            node: 'n1',
            service: 'a/b',
            state: 'excluded',
            reason: 'no-address',
            why: true,
          },
        },
      ],
      [
        'explain http://a/b --method POST --header A:1 --header B:2',
        {
          command: 'explain',
          options: {
            subject: 'http://a/b',
            cluster: null,
            method: 'POST',
            headers: ['A:1', 'B:2'],
            admin: null,
            json: false,
          },
        },
      ],
      ['reload --token-file t', { command: 'reload', options: { admin: null, json: false, tokenFile: 't' } }],
      [
        'drain n1 --cluster iad --wait --timeout 90s',
        {
          command: 'drain',
          options: {
            subject: 'n1',
            cluster: 'iad',
            wait: true,
            timeoutMs: 90_000,
            tokenFile: null,
            admin: null,
            json: false,
          },
        },
      ],
    ];
    for (const [line, expected] of cases) {
      assert.deepEqual(JSON.parse(JSON.stringify(parseArguments(line.split(' ')))), expected, line);
    }
    const undrain = parseArguments(['undrain', 'n1']);
    assert.equal(undrain.command, 'undrain');
    const whole = parseArguments(['drain', '--cluster', 'iad']);
    assert.deepEqual(whole.command === 'drain' && [whole.options.subject, whole.options.cluster], [
      null,
      'iad',
    ]);
  });

  it('gives help and version everywhere, whatever else is wrong', () => {
    assert.deepEqual(parseArguments(['--help']), { command: 'help', topic: null });
    assert.deepEqual(parseArguments(['help', 'drain']), { command: 'help', topic: 'drain' });
    for (const name of Object.keys(COMMANDS) as CommandName[]) {
      assert.deepEqual(parseArguments([name, '--nonsense', '-h']), { command: 'help', topic: name });
      assert.deepEqual(parseArguments([name, '--version']), { command: 'version' });
    }
    assert.deepEqual(parseArguments(['-V']), { command: 'version' });
  });

  it('says what is wrong', () => {
    assert.match(usageOf(''), /command is missing/);
    assert.match(usageOf('lauch'), /no command "lauch"/);
    assert.match(usageOf('chek a'), /no command "chek", did you mean check\?/);
    assert.match(usageOf('constructor'), /no command "constructor"$/);
    assert.match(usageOf('run'), /-c FILE/);
    assert.match(usageOf('check'), /-c FILE/);
    assert.match(usageOf('check a -c b'), /twice/);
    assert.match(usageOf('run -c a extra'), /unexpected argument "extra"/);
    assert.match(usageOf('run -c a --json'), /--json/);
    assert.match(usageOf('run -c a --log-level loud'), /one of debug/);
    assert.match(usageOf('explain'), /NODE\|SERVICE\|URL is missing/);
    assert.match(usageOf('explain node --method GET'), /belong to a URL/);
    assert.match(usageOf('explain http://x --header nocolon'), /NAME:VALUE/);
    assert.match(usageOf('explain http://x --cluster a'), /belongs to a node/);
    assert.match(usageOf('drain'), /NODE or CLUSTER is missing/);
    assert.match(usageOf('demo --http-port a:8080'), /not a port/);
    assert.match(usageOf('demo --http-port 70000'), /not a port/);
    for (const time of ['1', '-1s', '1d', '1.5s', '9999999h', 's']) {
      assert.match(usageOf(`drain n --timeout=${time}`), /--timeout/, time);
    }
  });

  it('has a table without an option that no command takes or that is not described', () => {
    const used = new Set<string>(['help', 'version']);
    for (const command of Object.values(COMMANDS)) for (const name of command.options) used.add(name);
    assert.deepEqual([...used].sort(), OPTIONS.map((option) => option.name).sort());
  });

  it('has only examples that it takes', () => {
    for (const command of Object.values(COMMANDS)) {
      for (const { line } of command.examples) {
        const words = line
          .replace(/ > .*/, '')
          .match(/'[^']*'|\S+/g)!
          .map((word) => word.replaceAll("'", ''));
        assert.equal(words[0], 'portico');
        assert.notEqual(parseArguments(words.slice(1)).command, 'usage', line);
      }
    }
  });
});
