// Portico's way into the API server is renewed: its token, the server's authority, and a credential plugin's answers.

import { chmod, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { certificateFor } from '../../support/certificates.ts';
import { follows } from './following.ts';
import type { NetStep } from './net-steps.ts';
import type { NetWorld } from './net-world.ts';
import type { Mark } from './observations.ts';
import { makeToken } from './tokens.ts';

/** The back-off of a reflector that has been refused for some seconds, with room for a shared machine. */
const FOLLOW_LIMIT_MS = 35_000;
/** The API server keeps a token that it has accepted for 10 s. */
const TOKEN_CACHE_MS = 11_000;
const CREDENTIAL_LIFE_S = 6;

export const CREDENTIAL_STEPS: readonly NetStep[] = [
  {
    name: 'token-rotated',
    title: 'The token file is rotated and the old token revoked',
    run: rotateToken,
  },
  {
    name: 'ca-rotated',
    title: "The API server's certificate authority is replaced, and a stranger's certificate is not believed",
    run: rotateAuthority,
  },
  {
    name: 'exec-expired',
    title: 'A credential plugin: its credential expires, and is revoked before it does',
    run: expireCredential,
  },
];

async function rotateToken(world: NetWorld): Promise<void> {
  const mark = world.mark();
  const old = await readFile(world.tokenFile, 'utf8');
  const token = await makeToken(world, 'portico-token-2');
  await replace(world.tokenFile, token);
  await revoke(world, 'portico-token-1');
  await delay(TOKEN_CACHE_MS);
  await world.front.set('pass');
  await follow(world, 'token file rotated, old token revoked', mark, [old, token]);
}

async function rotateAuthority(world: NetWorld): Promise<void> {
  const { kubeconfigFile, front } = world;
  const before = await readFile(kubeconfigFile, 'utf8');
  const content = JSON.parse(before) as { clusters: { cluster: Record<string, string> }[] };
  const { cluster } = content.clusters[0]!;
  const oldAuthority = Buffer.from(cluster['certificate-authority-data']!, 'base64').toString();
  const bundle = path.join(path.dirname(kubeconfigFile), 'authority.pem');
  await replace(bundle, oldAuthority);
  delete cluster['certificate-authority-data'];
  cluster['certificate-authority'] = bundle;
  await replace(kubeconfigFile, JSON.stringify(content));

  const mark = world.mark();
  const next = await certificateFor('localhost');
  // As an administrator does it: both are trusted first, then the server changes, then the old one is trusted no more.
  await replace(bundle, `${oldAuthority}\n${next.cert}`);
  await front.present(next);
  await follow(world, 'CA rotated', mark, [next.key]);
  await replace(bundle, next.cert);

  const strange = world.mark();
  await front.seen();
  await front.present(await certificateFor('localhost'));
  await delay(6000);
  await world.promise(
    "a stranger's certificate",
    'not believed, nothing lost, counted, 0 failed',
    async () => {
      const { refusedHandshakes } = await front.seen();
      if (refusedHandshakes === 0) throw new Error('it was believed');
      const count = await world.portico.metric('portico_k8s_watch_restarts_total', { reason: 'connection' });
      if ((count ?? 0) === 0) throw new Error('not counted');
      return `${refusedHandshakes} handshakes broken off; counted: connection ${count}; ${world.servedSince(strange)}`;
    },
  );
  const right = world.mark();
  await front.present(next);
  await follow(world, 'the right certificate again', right, []);

  // As it was.
  const { directory } = world.options;
  await replace(kubeconfigFile, before);
  await front.present({
    cert: await readFile(path.join(directory, 'pki/apiserver.crt'), 'utf8'),
    key: await readFile(path.join(directory, 'pki/apiserver.key'), 'utf8'),
  });
  await follows(world, FOLLOW_LIMIT_MS);
}

async function expireCredential(world: NetWorld): Promise<void> {
  const { kubeconfigFile, front } = world;
  const before = await readFile(kubeconfigFile, 'utf8');
  const plugin = new Plugin(path.join(path.dirname(kubeconfigFile), 'plugin'));
  const first = await makeToken(world, 'portico-exec-1');
  await plugin.write(first, CREDENTIAL_LIFE_S);
  const content = JSON.parse(before) as { users: { user: object }[] };
  content.users[0]!.user = {
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: plugin.program,
      interactiveMode: 'Never',
    },
  };
  await replace(kubeconfigFile, JSON.stringify(content));
  // Read again once a minute, and at once after a 401.
  await revoke(world, 'portico-token-1', 'portico-token-2');
  await delay(TOKEN_CACHE_MS);
  await front.set('pass');
  await follows(world, FOLLOW_LIMIT_MS);
  const used = await plugin.runs();
  if (used === 0) throw new Error('the plugin was not run');

  const expired = world.mark();
  const second = await makeToken(world, 'portico-exec-2');
  await plugin.write(second, 3600);
  await delay((CREDENTIAL_LIFE_S + 1) * 1000);
  await front.seen();
  await front.set('pass');
  await follow(world, 'exec credential expired', expired, [first, second], async () => {
    const { tokens } = await front.seen();
    if (!tokens.includes(second.slice(-12))) throw new Error('the new credential was not used');
    return `the plugin ran ${(await plugin.runs()) - used} times more`;
  });

  const revoked = world.mark();
  const third = await makeToken(world, 'portico-exec-3');
  await plugin.write(third, 3600);
  await revoke(world, 'portico-exec-2');
  await delay(TOKEN_CACHE_MS);
  await front.seen();
  await front.set('pass');
  await follow(world, 'exec credential revoked early (401)', revoked, [second, third], async () => {
    const { tokens } = await front.seen();
    if (!tokens.includes(third.slice(-12))) throw new Error('the new credential was not used');
    return 'asked for anew after the 401';
  });

  // As it was.
  await replace(world.tokenFile, await makeToken(world, 'portico-token-3'));
  await replace(kubeconfigFile, before);
  await revoke(world, 'portico-exec-1', 'portico-exec-3');
  await delay(TOKEN_CACHE_MS);
  await front.set('pass');
  await follows(world, FOLLOW_LIMIT_MS);
}

/** A label put on a node is in force soon, nobody failed, and none of the secrets is in Portico's log. */
async function follow(
  world: NetWorld,
  event: string,
  mark: Mark,
  secrets: readonly string[],
  more: () => Promise<string> = () => Promise.resolve(''),
): Promise<void> {
  await world.promise(event, 'no gap beyond the back-off, no secret in the log, 0 failed', async () => {
    const text = await follows(world, FOLLOW_LIMIT_MS);
    const note = await more();
    const log = await readFile(world.portico.logFile, 'utf8');
    for (const secret of secrets) {
      // The last part of a token, or of a key, is as secret as the whole.
      if (log.includes(secret.trim().split(/[.\n]/).at(-2) ?? secret))
        throw new Error('the log holds a secret');
      if (log.includes(secret.trim().slice(-40))) throw new Error('the log holds a secret');
    }
    return `${text}${note === '' ? '' : `; ${note}`}; ${world.servedSince(mark)}`;
  });
}

/** Ends the tokens that are bound to these secrets, as many of them as there are. */
async function revoke(world: NetWorld, ...secrets: readonly string[]): Promise<void> {
  const where = ['-n', world.account.namespace, '--ignore-not-found'];
  await world.kubectl.run(['delete', 'secret', ...secrets, ...where]);
}

/** Whole or not at all, as tools replace such files. */
async function replace(file: string, content: string): Promise<void> {
  await writeFile(`${file}.new`, content, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** A credential plugin as a cloud provider ships one: prints a token with a date, and writes down that it was run. */
class Plugin {
  readonly program: string;
  readonly #base: string;

  constructor(base: string) {
    this.#base = base;
    this.program = `${base}.sh`;
  }

  async write(token: string, lifeSeconds: number): Promise<void> {
    await replace(`${this.#base}.token`, token);
    const answer =
      '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"%s","expirationTimestamp":"%s"}}';
    const lines = [
      '#!/bin/sh',
      `echo run >>'${this.#base}.runs'`,
      `printf '${answer}' "$(cat '${this.#base}.token')" "$(date -u -d '+${lifeSeconds} seconds' +%Y-%m-%dT%H:%M:%SZ)"`,
    ];
    await replace(this.program, `${lines.join('\n')}\n`);
    await chmod(this.program, 0o700);
  }

  async runs(): Promise<number> {
    const text = await readFile(`${this.#base}.runs`, 'utf8').catch(() => '');
    return text.split('\n').length - 1;
  }
}
