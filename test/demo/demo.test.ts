// The demo from its start to its end, with a plain forwarder in Portico's place.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { at, type Json } from '../../src/demo/api/kube-object.ts';
import { type DemoIo, type RunningDemo, runDemo } from '../../src/demo/demo.ts';
import { nodeAddresses } from '../../src/demo/demo-cluster.ts';
import { printGuide } from '../../src/demo/guide.ts';
import { freePort, listen } from '../../src/demo/listening.ts';
import { EXCLUDE_LABEL } from '../../src/demo/objects.ts';
import { type Forwarder, forward } from './forwarder.ts';
import { type SshResult, sshExec } from './ssh-exec.ts';

let directory: string;
let demo: RunningDemo;
let printed = '';
const forwarders: Forwarder[] = [];

const io = (startPortico: DemoIo['startPortico']): DemoIo => ({
  write: (text) => {
    printed += text;
  },
  colour: false,
  cli: 'portico',
  temporaryDirectory: directory,
  platform: process.platform,
  path: process.env['PATH'],
  random: Math.random,
  now: Date.now,
  startPortico,
});

const first = nodeAddresses(process.platform)[0] as string;
const second = nodeAddresses(process.platform)[1] ?? first;
const lastNode = (): string => demo.cluster.nodes.at(-1) as string;
const lastAddress = nodeAddresses(process.platform).at(-1) as string;

function nodePort(namespace: string, name: string): number {
  const service = demo.cluster.store.get('services', namespace, name);
  const ports = at(service, 'spec', 'ports') as readonly Json[];
  return at(ports[0], 'nodePort') as number;
}

async function control(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`${demo.cluster.controlUrl}${path}`, { method: 'POST', headers });
}

const answer = async (address: string, port: number, path = '/'): Promise<string> =>
  await (await fetch(`http://${address}:${port}${path}`, { headers: { connection: 'close' } })).text();

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portico-test-'));
  demo = await runDemo(
    { httpPort: 0, sshPort: 0, adminPort: 0 },
    io(async (configPath) => {
      const config = parse(await readFile(configPath, 'utf8')) as {
        listeners: { name: string; bind: string }[];
      };
      const portOf = (name: string) =>
        Number(config.listeners.find((l) => l.name === name)?.bind.split(':')[1]);
      return {
        ports: [portOf('web'), portOf('git-ssh')],
        close: async () => {
          await Promise.all(forwarders.map((forwarder) => forwarder.close()));
        },
      };
    }),
  );
  const { httpPort, sshPort } = demo.facts;
  forwarders.push(await forward(httpPort, first, nodePort('github-production', 'unicorn')));
  forwarders.push(await forward(sshPort, first, nodePort('git-production', 'ssh')));
});

after(async () => {
  await demo.close();
  await rm(directory, { recursive: true, force: true });
});

describe('demo', () => {
  it('prints a guide with its real ports and files', () => {
    assert.equal(printed, printGuide(demo.facts, false));
    assert.ok(printed.includes(`curl http://127.0.0.1:${demo.facts.httpPort}/`));
    assert.ok(printed.includes(`--kubeconfig ${demo.facts.directory}/kubeconfig`));
  });

  it('answers HTTP with the node, the pod and what it was told of the client', async () => {
    const response = await fetch(`http://127.0.0.1:${demo.facts.httpPort}/a?b=c`, {
      headers: { 'x-forwarded-for': '192.0.2.1', 'x-request-id': 'r-1' },
    });
    const text = await response.text();
    assert.match(text, /Hello from unicorn in github-production/);
    assert.match(text, /node +node-1/);
    assert.match(text, /pod +unicorn-\w+, on/);
    assert.match(text, /request +GET \/a\?b=c/);
    assert.match(text, /x-forwarded-for +192\.0\.2\.1/);
    assert.match(text, /x-request-id +r-1/);
  });

  it('answers health checks of pods and of kube-proxy', async () => {
    assert.equal(await answer(second, nodePort('github-production', 'unicorn'), '/_ping'), 'pong\n');
    const { status } = await fetch(`http://${second}:${demo.cluster.kubeProxyPort}/healthz`);
    assert.equal(status, 200);
  });

  const ssh = async (command: string, password?: string, input?: string): Promise<SshResult> =>
    await sshExec({
      port: demo.facts.sshPort,
      command,
      hostKey: demo.cluster.hostPublicKey,
      ...(password === undefined ? {} : { password }),
      ...(input === undefined ? {} : { input }),
    });

  it('lets SSH clients in without a key or with the password demo, and tells them the node', async () => {
    for (const password of [undefined, 'demo']) {
      const { stdout, code } = await ssh('hostname', password);
      assert.match(stdout, /git over SSH.*node +node-1/s);
      assert.equal(code, 0);
    }
  });

  it('serves its repository over SSH, and no other path, command or write', async () => {
    // The flush packet ends the conversation after git's list of references.
    const { stdout, stderr, code } = await ssh("git-upload-pack '/demo.git'", undefined, '0000');
    if (demo.cluster.hasGit) assert.match(stdout, /^[0-9a-f]{4}[0-9a-f]{40} HEAD.*refs\/heads\/main/s);
    else assert.match(stderr, /no git on this machine/);
    assert.equal(code, demo.cluster.hasGit ? 0 : 127);
    const refused = [
      "git-receive-pack '/demo.git'",
      "git-upload-pack '/../demo.git'",
      "git-upload-pack '/etc'",
      'git-upload-pack --help',
      "git-upload-pack '/demo.git'; id",
    ];
    for (const command of refused) {
      const result = await ssh(command);
      assert.deepEqual([result.code, result.stdout], [1, ''], command);
      assert.match(result.stderr, /one repository/);
    }
    assert.doesNotMatch((await ssh('id')).stdout, /uid=/);
  });

  it('closes a killed node’s ports, cuts its connections and reports it, and takes it all back', async () => {
    const port = nodePort('git-production', 'ssh');
    const held = connect(port, lastAddress);
    await once(held, 'data');
    // The reset shows as an error first; the end of the connection is what counts.
    held.on('error', () => {});
    const closed = new Promise((resolve) => held.once('close', resolve));
    assert.equal((await control(`/nodes/${lastNode()}/kill`)).status, 200);
    await closed;
    await assert.rejects(answer(lastAddress, nodePort('github-production', 'unicorn')));
    await assert.rejects(answer(lastAddress, demo.cluster.kubeProxyPort, '/healthz'));
    const ready = () => {
      const node = demo.cluster.store.get('nodes', undefined, lastNode());
      return at((at(node, 'status', 'conditions') as readonly Json[])[0], 'status');
    };
    const endpoints = () => {
      const slice = demo.cluster.store.get('endpointslices', 'git-production', 'ssh-demo');
      return (at(slice, 'endpoints') as readonly Json[])
        .filter((endpoint) => at(endpoint, 'nodeName') === lastNode())
        .map((endpoint) => at(endpoint, 'conditions', 'ready'));
    };
    assert.deepEqual([ready(), endpoints()], ['Unknown', [false]]);
    assert.equal((await control(`/nodes/${lastNode()}/revive`)).status, 200);
    assert.deepEqual([ready(), endpoints()], ['True', [true]]);
    assert.match(await answer(lastAddress, nodePort('github-production', 'unicorn')), new RegExp(lastNode()));
  });

  it('serves policy Local only where a pod is', async () => {
    if (demo.cluster.nodes.length === 3) {
      await assert.rejects(answer(lastAddress, nodePort('github-production', 'unicorn-api')));
    }
    assert.match(await answer(first, nodePort('github-production', 'unicorn-api')), /on this node/);
  });

  it('sets and takes away label and taint', async () => {
    const state = () => {
      const node = demo.cluster.store.get('nodes', undefined, 'node-1');
      return [
        node?.metadata.labels?.[EXCLUDE_LABEL],
        (at(node, 'spec', 'taints') as readonly Json[] | undefined)?.length,
      ];
    };
    for (const action of ['exclude', 'taint']) await control(`/nodes/node-1/${action}`);
    assert.deepEqual(state(), ['true', 1]);
    for (const action of ['include', 'untaint']) await control(`/nodes/node-1/${action}`);
    assert.deepEqual(state(), [undefined, 0]);
  });

  it('rolls a service without a moment in which it has no ready pod', async () => {
    const slices: number[] = [];
    const stop = demo.cluster.store.subscribe(({ resource, object }) => {
      if (resource !== 'endpointslices' || object.metadata.namespace !== 'review-lab-fix-login') return;
      const endpoints = at(object, 'endpoints') as readonly Json[];
      slices.push(endpoints.filter((endpoint) => at(endpoint, 'conditions', 'ready') === true).length);
    });
    const port = nodePort('review-lab-fix-login', 'unicorn');
    const pod = async () => /pod +(\S+),/.exec(await answer(first, port))?.[1];
    const old = await pod();
    assert.equal((await control('/services/review-lab-fix-login/unicorn/roll')).status, 200);
    stop();
    assert.deepEqual(slices, [2, 1, 1]);
    assert.notEqual(await pod(), old);
  });

  it('refuses what it does not know, and web pages', async () => {
    assert.equal((await control('/nodes/node-9/kill')).status, 404);
    assert.equal((await control('/nodes/node-1/constructor')).status, 404);
    assert.equal((await control('/services/a/b/roll')).status, 404);
    assert.equal((await control('/nodes/node-1/kill', { origin: 'http://evil.test' })).status, 403);
    assert.equal((await fetch(`${demo.cluster.controlUrl}/nodes/node-1/kill`)).status, 405);
  });
});

describe('the end of a demo', () => {
  it('leaves no file and no open port, and a second end changes nothing', async () => {
    const before = new Set(await readdir(directory));
    const other = await runDemo(
      { httpPort: 0, sshPort: 0, adminPort: 0 },
      io(async () => ({ close: async () => {} })),
    );
    const { controlUrl, apiUrl } = other.cluster;
    await Promise.all([other.close(), other.close()]);
    assert.deepEqual(
      (await readdir(directory)).filter((name) => !before.has(name)),
      [],
    );
    await assert.rejects(fetch(controlUrl));
    await assert.rejects(fetch(apiUrl));
  });

  it('comes by itself when Portico does not start', async () => {
    const before = new Set(await readdir(directory));
    const failing = io(async () => {
      throw new Error('no luck');
    });
    await assert.rejects(runDemo({ httpPort: 0, sshPort: 0, adminPort: 0 }, failing), /no luck/);
    assert.deepEqual(
      (await readdir(directory)).filter((name) => !before.has(name)),
      [],
    );
  });

  it('is the beginning when a port is taken: the flag to use is named', async () => {
    const port = await freePort('127.0.0.1', 0);
    const taken = await listen(createServer(), '127.0.0.1', port);
    const never = io(() => assert.fail('must not start'));
    await assert.rejects(runDemo({ httpPort: 0, sshPort: port, adminPort: 0 }, never), /--ssh-port/);
    await taken.close();
  });
});
