// A newcomer at work: starts the demo as a process, pastes every command of the guide as printed, and presses Ctrl-C.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type GuideFacts, type GuideStep, guideSteps } from '../../src/demo/guide.ts';

const root = resolve(import.meta.dirname, '../..');
/** A step with `soon` may ask again for so long. */
const PATIENCE_MS = 20_000;

/** Titles and expectations do not depend on the facts. */
const anyFacts: GuideFacts = {
  httpPort: 1,
  sshPort: 1,
  adminPort: 1,
  controlUrl: '',
  directory: '/',
  cli: '',
  nodes: ['a', 'b', 'c'],
  hasGit: true,
  platform: 'linux',
};

/** The printed commands, each under its title. */
function readGuide(printed: string): readonly { readonly step: GuideStep; readonly command: string }[] {
  const lines = printed.split('\n');
  return guideSteps(anyFacts).flatMap((step) => {
    const at = lines.findIndex((line) => line.startsWith(`# ${step.title}`));
    const command = lines[at + 1];
    return at < 0 || command === undefined ? [] : [{ step, command }];
  });
}

async function paste(command: string): Promise<{ readonly code: number; readonly output: string }> {
  return await new Promise((done) => {
    execFile('sh', ['-c', command], { cwd: root, timeout: 30_000 }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
    });
  });
}

async function has(programs: readonly string[]): Promise<boolean> {
  const checks = await Promise.all(programs.map((program) => paste(`command -v ${program}`)));
  return checks.every(({ code }) => code === 0);
}

it('every command of the printed guide works as printed, and Ctrl-C leaves nothing behind', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'portico-guide-'));
  const ports = ['--http-port', '0', '--ssh-port', '0', '--admin-port', '0'];
  const demo = spawn(process.execPath, ['src/portico.js', 'demo', ...ports], {
    cwd: root,
    env: { ...process.env, TMPDIR: directory, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(demo, 'exit');
  let printed = '';
  let complaints = '';
  demo.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString();
  });
  try {
    await new Promise<void>((done, fail) => {
      demo.stdout.on('data', (chunk: Buffer) => {
        printed += chunk.toString();
        if (printed.includes('Ctrl-C ends')) done();
      });
      demo.once('exit', (code) => fail(new Error(`the demo ended with ${code}: ${complaints}${printed}`)));
    });
    const steps = readGuide(printed);
    assert.ok(steps.length >= guideSteps(anyFacts).length - 1, printed);
    for (const { step, command } of steps) {
      // What the guide says it needs and this machine does not have cannot be pasted here; the rest must work.
      if (!(await has(step.needs ?? []))) continue;
      const deadline = performance.now() + (step.soon === true ? PATIENCE_MS : 0);
      let { code, output } = await paste(command);
      while (!(code === 0 && step.expect.test(output)) && performance.now() < deadline) {
        await delay(250);
        ({ code, output } = await paste(command));
      }
      assert.equal(code, 0, `${step.title}: ${command}\n${output}\n${complaints}`);
      assert.match(output, step.expect, `${step.title}: ${command}`);
    }
  } finally {
    demo.kill('SIGINT');
    await exited;
  }
  assert.deepEqual(await readdir(directory), []);
  await rm(directory, { recursive: true });
});
