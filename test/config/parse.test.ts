// Properties of the whole parser: it never throws, points into the text, and gives the same for the same meaning.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblems } from '../../src/config/problem.ts';
import { FILE_LIMIT_BYTES } from '../../src/config/yaml-limits.ts';
import { fc } from '../support/properties.ts';
import { MINIMAL, parse, problems, valid } from './support.ts';

/** A finding that does not point into the text it is about would send people to the wrong place. */
function checkPositions(text: string): void {
  const result = parse(text);
  const lines = text.split('\n');
  for (const problem of 'problems' in result ? result.problems : result.warnings) {
    assert.ok(problem.line >= 1 && problem.line <= lines.length, `${problem.line} of ${lines.length}`);
    assert.ok(problem.column >= 1 && problem.column <= (lines[problem.line - 1]?.length ?? 0) + 2);
    assert.ok(problem.message !== '' && problem.fix !== '' && problem.code !== '');
  }
  if ('problems' in result) {
    assert.ok(result.problems.length > 0);
    formatProblems(result.problems, { colour: true });
  }
}

const yamlish = fc
  .array(
    fc.constantFrom(
      'a',
      'listeners',
      'pools',
      'routes',
      'rules',
      'hosts',
      ':',
      ': ',
      '- ',
      '\n',
      '\n  ',
      '{',
      '}',
      '[',
      ']',
      ',',
      '&x ',
      '*x',
      '!t ',
      '"',
      "'",
      '|',
      '>',
      '#',
      '? ',
      '---\n',
      '$' + '{X}',
      '$$',
      '%',
      '\t',
      '<<',
      '\u0000',
      '\ufeff',
      '\ud800',
      '1',
      'null',
      '.nan',
    ),
    { maxLength: 40 },
  )
  .map((parts) => parts.join(''));

test('no text makes the parser throw or point outside of it', () => {
  fc.assert(fc.property(yamlish, checkPositions), { numRuns: 400 });
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), checkPositions), { numRuns: 200 });
});

test('no document of the right keys makes the parser throw, whatever stands in them', () => {
  const leaf = fc.oneof(fc.string(), fc.integer(), fc.double(), fc.boolean(), fc.constant(null));
  const section = fc.oneof(
    leaf,
    fc.array(
      fc.oneof(
        leaf,
        fc.dictionary(
          fc.constantFrom(
            'name',
            'bind',
            'sources',
            'rules',
            'hosts',
            'pools',
            'policy',
            'health',
            'tls',
            'matches',
            'service',
          ),
          fc.oneof(
            leaf,
            fc.array(
              fc.oneof(
                leaf,
                fc.dictionary(fc.constantFrom('name', 'static', 'pools', 'path', 'exact', 'cluster'), leaf),
              ),
            ),
          ),
        ),
      ),
    ),
  );
  const document = fc.dictionary(
    fc.constantFrom(
      'clusters',
      'listeners',
      'pools',
      'routes',
      'admin',
      'defaults',
      'log',
      'workers',
      'trustedProxies',
      'stateDirectory',
    ),
    section,
  );
  fc.assert(
    fc.property(document, (value) => checkPositions(JSON.stringify(value))),
    { numRuns: 150 },
  );
});

test('one cut or one changed character of a valid file never makes the parser throw', () => {
  const text = MINIMAL;
  for (let index = 0; index < text.length; index++) {
    checkPositions(text.slice(0, index));
    checkPositions(`${text.slice(0, index)}*${text.slice(index + 1)}`);
  }
});

const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
const written = fc
  .record({
    pools: fc.uniqueArray(
      fc.record({
        name,
        sources: fc
          .uniqueArray(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 3 })
          .map((ports) => [{ static: ports.map((port) => `10.0.0.1:${port}`) }]),
        policy: fc.constantFrom(
          'random',
          { name: 'maglev', key: { header: 'X-User' }, boundedLoad: 1.5 },
          { name: 'peak-ewma', choices: 4 },
        ),
        slowStart: fc.constantFrom('0s', '500ms', '1h', 0),
      }),
      { selector: (pool) => pool.name, minLength: 1, maxLength: 4 },
    ),
    port: fc.integer({ min: 1, max: 9000 }),
    paths: fc.uniqueArray(name, { maxLength: 5 }),
  })
  .map(({ pools, port, paths }) => ({
    listeners: [{ name: 'web', bind: `:${port}`, protocol: 'http' }],
    pools,
    routes: [
      {
        name: 'all',
        hosts: ['*'],
        rules: paths
          .map((path, index) => ({
            matches: [{ path: { prefix: `/${path}` } }],
            pools: [{ name: pools[index % pools.length]?.name }],
          }))
          .concat([{ matches: [], pools: [{ name: pools[0]?.name }] }]),
      },
    ],
  }));

test('a valid configuration is the same each time, in any order of keys and when copied as data', () => {
  fc.assert(
    fc.property(written, (value) => {
      const text = JSON.stringify(value);
      const config = valid(text);
      assert.deepEqual(valid(text), config);
      const reversed = Object.fromEntries(Object.entries(value).reverse());
      assert.deepEqual(valid(JSON.stringify(reversed, null, 2)), config);
      assert.deepEqual(JSON.parse(JSON.stringify(config)), config);
    }),
    { numRuns: 100 },
  );
});

test('what is too large, too deep or too many is refused at its place, quickly', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['x'.repeat(FILE_LIMIT_BYTES + 1), 'file-too-large'],
    ['['.repeat(FILE_LIMIT_BYTES), 'too-deep'],
    ['- '.repeat(100_000), 'too-deep'],
    [']'.repeat(1_100_000), 'too-many-values'],
  ];
  for (const [text, code] of cases) {
    assert.deepEqual(
      problems(text).map((problem) => problem.code),
      [code],
    );
  }
});

test('very many problems are counted, not listed', () => {
  const text = `listeners: [${'{}, '.repeat(900)}]`;
  const found = problems(text);
  assert.equal(found.length, 501);
  assert.match(found.at(-1)?.message ?? '', /^there are \d+ more problems$/);
});

test('faults in one part do not hide those between the others', () => {
  const text =
    `${MINIMAL}  - { name: b, hosts: [b.example.com], rules: [{ pools: [{ name: nope }] }] }\n`.replace(
      'protocol: http',
      'protocol: htp',
    );
  assert.deepEqual(
    problems(text).map(({ code }) => code),
    ['unknown-value', 'pool-unknown'],
  );
});

test('line ends of Windows and a byte order mark change no position', () => {
  const [plain] = problems('listeners: []\npools: 1\n');
  const [marked] = problems('\ufefflisteners: []\r\npools: 1\r\n');
  assert.deepEqual([plain?.line, plain?.code], [marked?.line, marked?.code]);
  const last = problems('listeners: []\r\npools: 1\r\n').at(-1);
  assert.deepEqual([last?.line, last?.column, last?.offending], [2, 8, 'pools: 1']);
});

test('problems are printed with a caret below the place, and nothing in the file drives the terminal', () => {
  const [problem] = problems('\tx');
  assert.ok(problem !== undefined);
  const text = formatProblems(
    [
      {
        ...problem,
        line: 3,
        column: 9,
        offending: `\tname: ${'\u001b[2J'}`,
        message: 'bad \u001b[31m',
        fix: 'none',
      },
    ],
    { colour: false },
  );
  assert.equal(text, 'test.yaml:3:9: bad \ufffd[31m\n  \tname: \ufffd[2J\n  \t       ^\n  fix: none\n');
  assert.ok(formatProblems([problem], { colour: true }).startsWith('\u001b[1mtest.yaml:1:1:\u001b[0m '));
});

test('a variable that is missing is told once, without what follows from it', () => {
  const text = MINIMAL.replace('name: app, sources', 'name: "$' + '{NAME}", sources');
  assert.deepEqual(
    problems(text).map(({ code, line, column }) => [code, line, column]),
    [
      ['env-missing', 4, 13],
      ['pool-unknown', 6, 58],
    ],
  );
});

test('a header value out of the environment never shows in a problem', () => {
  const filter = 'filters: [{ requestHeaders: { set: { Authorization: "$' + '{TOKEN}" } } }], pools: [{';
  const [problem, ...rest] = problems(MINIMAL.replace('pools: [{', filter), { TOKEN: 'hunter2\n' });
  assert.deepEqual([problem?.code, rest], ['header-invalid', []]);
  assert.doesNotMatch(JSON.stringify(problem), /hunter2/);
});
