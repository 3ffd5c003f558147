// The rules that hold the repository together: who may import whom, what only the roots may touch, and the commands it names.

import assert from 'node:assert/strict';
import { accessSync, constants, existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

const ROOT = path.join(import.meta.dirname, '..');
const FILES = globSync('src/**/*.{ts,js}', { cwd: ROOT }).sort();

/** Which directories of `src` each one may import from, beside itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  model: [],
  names: ['model'],
  files: [],
  http1: ['model'],
  http2: ['model', 'http1'],
  'proxy-protocol': [],
  balance: ['model'],
  snapshot: ['model'],
  telemetry: ['model'],
  config: ['model', 'files'],
  supervisor: ['model'],
  proxy: ['model', 'http1', 'http2', 'proxy-protocol', 'balance', 'names', 'snapshot', 'telemetry'],
  control: [
    'model',
    'http1',
    'http2',
    'config',
    'files',
    'proxy-protocol',
    'balance',
    'names',
    'snapshot',
    'telemetry',
  ],
  cli: ['model', 'config'],
  demo: ['model'],
  'main.ts': ['cli', 'config', 'control', 'demo', 'proxy', 'supervisor', 'telemetry'],
  'portico.js': ['main.ts'],
};

/** Packages that a file or directory uses at run time. A type alone costs nothing and binds to nothing: see `TYPES`. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  'src/cli/admin-client.ts': ['undici'],
  'src/config/json-schema.ts': ['zod'],
  'src/config/schema/': ['zod'],
  'src/config/yaml-': ['yaml'],
  'src/control/discovery/api-client.ts': ['undici'],
  'src/control/discovery/inventory-file.ts': ['zod'],
  'src/control/drain-store.ts': ['zod'],
  'src/control/state-file.ts': ['zod'],
  'src/control/discovery/kubeconfig.ts': ['@kubernetes/client-node', 'yaml'],
  'src/demo/host-key.ts': ['ssh2'],
  'src/demo/ssh-pods.ts': ['ssh2'],
  'src/telemetry/logger.ts': ['pino'],
  'src/telemetry/process-metrics.ts': ['prom-client'],
};

/** Directories that take a logger, a proxy agent or the like, and know only its type. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  'src/proxy/': ['pino'],
  'src/control/': ['pino', 'undici'],
  'src/supervisor/': ['pino'],
  'src/telemetry/': ['pino'],
  'src/config/': ['zod', 'yaml'],
  'src/demo/': ['ssh2'],
};

/** Where processes begin: the only files that read the process. */
const ROOTS = [
  'src/main.ts',
  'src/portico.js',
  'src/supervisor/child.ts',
  'src/control/run-controller.ts',
  'src/proxy/run-worker.ts',
];
/** The only files that read its clock and its randomness. */
const CLOCKS = [...ROOTS, 'src/supervisor/', 'src/control/discovery/clock.ts'];
/** Files with timers of their own, each for a stated reason; all others are handed a clock. */
const TIMERS: Readonly<Record<string, string>> = {
  'src/proxy/upstream/doubt-watch.ts': 'a look at the kernel once a second, which no request waits for',
  'src/supervisor/supervisor.ts': 'delays of a process that lives in real time',
  'src/control/handover.ts': 'what the supervisor keeps, renewed once a second',
  'src/proxy/worker.ts': 'the report to the controller, a quarter of a second apart',
  'src/proxy/worker-drain.ts': 'looks at what is left while a worker leaves',
  'src/control/discovery/clock.ts': 'the system clock itself',
  'src/proxy/deadlines.ts': 'the one interval that all deadlines of a worker share',
  'src/telemetry/access-log.ts': 'flushes of real files, which no fake time can hurry',
  'src/telemetry/log-destination.ts': 'a pipe that is busy for its reader, tried again',
  'src/control/admin/admin-server.ts': 'the end of a real server',
  'src/demo/': 'a stand-in cluster that lives in real time',
  'src/cli/': 'waits for answers of another process',
};

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const source = new Map(FILES.map((file) => [file, readFileSync(path.join(ROOT, file), 'utf8')]));
const imports = FILES.flatMap((file) => importsOf(file));

function importsOf(file: string): readonly Import[] {
  const text = source.get(file)!;
  const found: Import[] = [];
  for (const [, clause, specifier] of text.matchAll(/^(?:import|export)\s([^;'"]*?)from\s+'([^']+)'/gm)) {
    const names = /\{([^}]*)\}/
      .exec(clause!)?.[1]
      ?.split(',')
      .map((name) => name.trim())
      .filter(Boolean);
    const typeOnly = clause!.startsWith('type ') || names?.every((name) => name.startsWith('type ')) === true;
    found.push({ from: file, specifier: specifier!, typeOnly });
  }
  for (const [, specifier] of text.matchAll(/\bimport\s*\(\s*'([^']+)'|^import\s+'([^']+)'/gm)) {
    found.push({ from: file, specifier: specifier!, typeOnly: false });
  }
  return found;
}

/** The file that a relative import names, as a path from the root. */
const resolve = ({ from, specifier }: Import): string => path.posix.join(path.posix.dirname(from), specifier);

/** `model` for `src/model/config.ts`, and the name of a file that lies in `src` itself. */
function areaOf(file: string): string {
  const [, first = ''] = file.split('/');
  return first;
}

const isOwn = ({ specifier }: Import): boolean => specifier.startsWith('.');
const isPackage = (entry: Import): boolean => !isOwn(entry) && !entry.specifier.startsWith('node:');
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** The entry of a table for a file: the longest key that its path begins with. */
function entryFor<T>(table: Readonly<Record<string, T>>, file: string): T | undefined {
  const key = Object.keys(table)
    .filter((prefix) => file.startsWith(prefix))
    .sort((left, right) => right.length - left.length)[0];
  return key === undefined ? undefined : table[key];
}

/** Lines of code, comments left out. */
function codeOf(file: string): string {
  return source
    .get(file)!
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('//'))
    .join('\n');
}

const isAmong = (file: string, places: readonly string[]): boolean =>
  places.some((place) => file.startsWith(place));

describe('imports', () => {
  it('finds the imports at all', () => {
    assert.ok(FILES.length > 100);
    assert.ok(imports.length > 300);
    assert.ok(
      imports.some(({ from, specifier }) => from === 'src/main.ts' && specifier === './proxy/run-worker.ts'),
    );
  });

  it('go only from each area to those that it may know', () => {
    const wrong = imports
      .filter(isOwn)
      .map((entry) => ({ from: entry.from, to: resolve(entry) }))
      .filter(({ from, to }) => areaOf(from) !== areaOf(to))
      .filter(({ from, to }) => MAY_IMPORT[areaOf(from)]?.includes(areaOf(to)) !== true);
    assert.deepEqual(wrong, []);
  });

  it('have no cycle between areas, as the table says it', () => {
    assert.deepEqual(cycleIn(new Map(Object.entries(MAY_IMPORT))), []);
  });

  it('have no cycle between files at run time', () => {
    const graph = new Map(FILES.map((file): [string, string[]] => [file, []]));
    for (const entry of imports) {
      if (isOwn(entry) && !entry.typeOnly) graph.get(entry.from)!.push(resolve(entry));
    }
    assert.deepEqual(cycleIn(graph), []);
  });

  it('name files that are there, with their extension', () => {
    const missing = imports.filter(isOwn).filter((entry) => !existsSync(path.join(ROOT, resolve(entry))));
    assert.deepEqual(missing, []);
  });

  it('use packages only where the tables say so', () => {
    const wrong = imports.filter(isPackage).filter(({ from, specifier, typeOnly }) => {
      const name = packageOf(specifier);
      if (entryFor(PACKAGES, from)?.includes(name) === true) return false;
      return !(typeOnly && entryFor(TYPES, from)?.includes(name) === true);
    });
    assert.deepEqual(wrong, []);
  });

  it('have no line in the table of packages that is out of date', () => {
    const used = Object.entries(PACKAGES).flatMap(([place, names]) =>
      names.filter(
        (name) =>
          !imports.some(
            ({ from, specifier, typeOnly }) =>
              from.startsWith(place) && packageOf(specifier) === name && !typeOnly,
          ),
      ),
    );
    assert.deepEqual(used, []);
  });

  it('use no package that production does not install, and never http-proxy', () => {
    const { dependencies } = manifest();
    const names = new Set(imports.filter(isPackage).map(({ specifier }) => packageOf(specifier)));
    assert.deepEqual(
      [...names].filter((name) => !(name in dependencies)),
      [],
    );
    assert.ok(!names.has('http-proxy'));
  });

  it('of properties come from the one place that seeds them', () => {
    const files = globSync('test/**/*.ts', { cwd: ROOT }).filter(
      (file) => file !== 'test/support/properties.ts',
    );
    const wrong = files.filter((file) =>
      /^import .* from 'fast-check';/m.test(readFileSync(path.join(ROOT, file), 'utf8')),
    );
    assert.ok(files.length > 100);
    assert.deepEqual(wrong, []);
  });
});

describe('sources', () => {
  it('open with a comment that says what they own', () => {
    const without = FILES.filter((file) => {
      const lines = source.get(file)!.split('\n');
      return !/^\/\/ \S/.test(lines[0]!.startsWith('#!') ? (lines[1] ?? '') : lines[0]!);
    });
    assert.deepEqual(without, []);
  });

  it('read the process only where one begins', () => {
    const readers = FILES.filter((file) => /(?<![-.\w#$'])process[.[?]/.test(codeOf(file)));
    assert.deepEqual(
      readers.filter((file) => !isAmong(file, ROOTS)),
      [],
    );
  });

  it('take time and chance from what they are handed', () => {
    const readers = FILES.filter((file) =>
      /\bDate\.now\b|\bMath\.random\b|\bperformance\.now\b|\bnew Date\(\)/.test(codeOf(file)),
    );
    assert.deepEqual(
      readers.filter((file) => !isAmong(file, CLOCKS)),
      [],
    );
  });

  it('make timers only where the table says why', () => {
    const makers = FILES.filter((file) => /(?<![.\w#])set(?:Timeout|Interval)\(/.test(codeOf(file)));
    assert.deepEqual(
      makers.filter((file) => entryFor(TIMERS, file) === undefined),
      [],
    );
  });
});

describe('commands', () => {
  const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8');

  it('has the two of the README in its first screen, and the scripts behind them', () => {
    const firstScreen = readme.split('\n').slice(0, 40).join('\n');
    for (const [command, script] of [
      ['npm ci && npm start', 'start'],
      ['npm ci && npm test', 'test'],
    ] as const) {
      assert.match(firstScreen, new RegExp(`^${command}(?:\\s|$)`, 'm'));
      assert.ok(manifest().scripts[script] !== undefined);
    }
  });

  it('runs exactly the second in continuous integration', () => {
    const script = path.join(ROOT, '.ci/run');
    accessSync(script, constants.X_OK);
    const lines = readFileSync(script, 'utf8').split('\n');
    assert.ok(lines.includes('npm ci && npm test'));
    assert.ok(
      lines.some((line) => /^set -[a-z]*e/.test(line)),
      'it stops at the first failure',
    );
  });

  it('names no script that is not there', () => {
    const pages = globSync(['*.md', 'docs/**/*.md', '.ci/run', 'test/**/README.md'], { cwd: ROOT });
    const missing = pages.flatMap((page) =>
      [...readFileSync(path.join(ROOT, page), 'utf8').matchAll(/\bnpm run ([a-z][\w:-]*)/g)]
        .map(([, name]) => name!)
        .filter((name) => manifest().scripts[name] === undefined)
        .map((name) => `${page}: npm run ${name}`),
    );
    assert.deepEqual(missing, []);
  });

  it('runs files that are there', () => {
    for (const command of Object.values(manifest().scripts)) {
      const file = /\bnode (\S+\.[jt]s)/.exec(command)?.[1];
      if (file !== undefined) assert.ok(existsSync(path.join(ROOT, file)), command);
    }
    assert.ok(existsSync(path.join(ROOT, manifest().bin['portico']!)));
  });
});

describe('tests', () => {
  it('of the data plane count the sockets that they leave', () => {
    const without = globSync('test/**/*.test.ts', { cwd: ROOT }).filter((file) => {
      const text = readFileSync(path.join(ROOT, file), 'utf8');
      return (
        /from '[./]*support\/data-plane\.ts'/.test(text) &&
        !file.startsWith('test/integration/') &&
        !/\bstage\.end\(\)|no socket outlives its test|assertNoSocketLeft/.test(text)
      );
    });
    assert.deepEqual(without, []);
  });

  it('of whole processes count the processes that they leave', () => {
    const without = globSync('test/integration/*.test.ts', { cwd: ROOT }).filter(
      (file) => !readFileSync(path.join(ROOT, file), 'utf8').includes('no process outlives the program'),
    );
    assert.deepEqual(without, []);
  });
});

interface Manifest {
  readonly scripts: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly bin: Readonly<Record<string, string>>;
}

function manifest(): Manifest {
  return JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as Manifest;
}

/** One cycle of a graph, or nothing. */
function cycleIn(graph: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (node: string): readonly string[] => {
    if (done.has(node)) return [];
    if (trail.includes(node)) return [...trail.slice(trail.indexOf(node)), node];
    trail.push(node);
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next);
      if (cycle.length > 0) return cycle;
    }
    trail.pop();
    done.add(node);
    return [];
  };
  for (const node of graph.keys()) {
    const cycle = visit(node);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
