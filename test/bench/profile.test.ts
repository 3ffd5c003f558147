// The profile of a worker: what is read out of V8's profile, how it is drawn, and a real process that is asked for one.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { describe, it } from 'node:test';
import { type CpuProfile, callTree, type Frame, selfTimesOf } from '../../bench/profile/call-tree.ts';
import { flameGraph } from '../../bench/profile/flame-graph.ts';
import { Inspector, inspectorsIn } from '../../bench/profile/inspector.ts';

const frame = (functionName: string, url = '', lineNumber = -1) => ({ functionName, url, lineNumber });

/** serve calls parse and twice write, which is native; parse calls write, too. */
const PROFILE: CpuProfile = {
  nodes: [
    { id: 1, callFrame: frame('(root)'), children: [2, 3, 8] },
    { id: 2, callFrame: frame('(idle)') },
    { id: 3, callFrame: frame('serve', 'file:///repository/src/proxy/serve.ts', 9), children: [4, 5, 6] },
    { id: 4, callFrame: frame('parse<T>', 'file:///repository/src/http1/parse.ts', 0), children: [7] },
    { id: 5, callFrame: frame('write') },
    { id: 6, callFrame: frame('write') },
    { id: 7, callFrame: frame('write') },
    { id: 8, callFrame: frame('', 'node:internal/timers', 4) },
  ],
  startTime: 1000,
  endTime: 2000,
  samples: [2, 3, 4, 7, 5, 6, 8],
  timeDeltas: [100, 300, 100, 50, 150, 100, 140],
};

describe('the tree of calls', () => {
  const tree = callTree(PROFILE, '/repository');
  const [serve, timers] = tree.calls;

  it('gives every sample the time until the next one, and idle time to nobody', () => {
    // From the first sample at 1100 to the end at 2000, without 300 of idle time.
    assert.equal(tree.totalUs, 600);
    assert.equal(tree.selfUs, 0);
    assert.deepEqual([serve!.name, serve!.selfUs, serve!.totalUs], ['serve', 100, 540]);
    assert.deepEqual([timers!.name, timers!.selfUs], ['(anonymous)', 60]);
  });

  it('takes calls of one function from one place together, the longest first', () => {
    assert.deepEqual(
      serve!.calls.map(({ name, totalUs }) => [name, totalUs]),
      [
        ['write', 240],
        ['parse<T>', 200],
      ],
    );
  });

  it('tells places from the repository, and lines from 1', () => {
    assert.equal(serve!.place, 'src/proxy/serve.ts:10');
    assert.equal(timers!.place, 'node:internal/timers:5');
  });

  it('is added up for each function, whoever called it', () => {
    const [first, ...others] = selfTimesOf(tree);
    assert.deepEqual(first, { name: 'write', place: '', selfUs: 390 });
    assert.equal(
      others.reduce((sum, { selfUs }) => sum + selfUs, first!.selfUs),
      tree.totalUs,
    );
  });

  it('cannot be made without samples', () => {
    assert.throws(() => callTree({ ...PROFILE, samples: [], timeDeltas: [] }, '/'), SyntaxError);
    assert.throws(() => callTree({ ...PROFILE, timeDeltas: [1] }, '/'), SyntaxError);
  });
});

describe('the flame graph', () => {
  const svg = flameGraph('a < b', callTree(PROFILE, '/repository'));
  const boxes = [
    ...svg.matchAll(/<g><title>([^:]*?)(?: \S+)?: .*?<rect x="([\d.]+)" y="(\d+)" width="([\d.]+)"/g),
  ].map(([, name, x, y, width]) => ({ name: name!, x: Number(x), y: Number(y), width: Number(width) }));
  const boxOf = (name: string) => boxes.find((box) => box.name === name)!;

  it('draws each frame above its caller and within its width, in proportion to its time', () => {
    const [all, serve, parse] = [boxOf('all'), boxOf('serve'), boxOf('parse&lt;T&gt;')];
    assert.ok(all.y > serve.y && serve.y > parse.y);
    for (const [outer, inner] of [
      [all, serve],
      [serve, parse],
    ] as const) {
      assert.ok(inner.x >= outer.x - 0.1);
      assert.ok(inner.x + inner.width <= outer.x + outer.width + 0.2);
    }
    assert.ok(Math.abs(serve.width / all.width - 540 / 600) < 0.001);
  });

  it('leaves out what is too narrow to see, and holds no markup of a name and nothing from elsewhere', () => {
    const leaf = (name: string, totalUs: number): Frame => ({
      name,
      place: '',
      selfUs: totalUs,
      totalUs,
      calls: [],
    });
    const wide = flameGraph('', { ...leaf('all', 1e6), calls: [leaf('seen', 999_900), leaf('narrow', 100)] });
    assert.match(wide, /<title>seen/);
    assert.doesNotMatch(wide, /narrow/);
    assert.match(svg, />a &lt; b</);
    assert.doesNotMatch(svg, /<T>|<script|href=/);
  });
});

describe('the inspector', () => {
  it('takes a profile of a process that runs, and knows which one it is', async () => {
    const script =
      'function spin() { for (let i = 0; i < 1e6; i += 1) Math.sqrt(i); setImmediate(spin); } spin();';
    const child = spawn(process.execPath, ['--inspect=127.0.0.1:0', '-e', script, 'a-parameter'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const ended = once(child, 'exit');
    try {
      let errors = '';
      child.stderr.setEncoding('utf8');
      while (inspectorsIn(errors).length === 0) errors += String((await once(child.stderr, 'data'))[0]);
      const inspector = await Inspector.connect(inspectorsIn(errors)[0]!);
      assert.ok((await inspector.parameters()).includes('a-parameter'));
      await inspector.startProfile(100);
      await inspector.parameters();
      let tree: Frame;
      // As many samples as it takes until the function is among them.
      do {
        await inspector.parameters();
        tree = callTree(await inspector.stopProfile(), '/');
        await inspector.startProfile(100);
      } while (!selfTimesOf(tree).some(({ name }) => name === 'spin'));
      const gone = assert.rejects(async () => {
        for (;;) await inspector.parameters();
      }, /is gone/);
      child.kill();
      await gone;
    } finally {
      child.kill();
      await ended;
    }
  });

  it('says so when nothing listens', async () => {
    await assert.rejects(
      Inspector.connect('ws://127.0.0.1:1/nobody'),
      /no inspector at ws:\/\/127\.0\.0\.1:1/,
    );
  });
});
