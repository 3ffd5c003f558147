// The SSH backends: real SSH servers with one host key, that greet, say which node answered, and serve one repository.

import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import ssh2 from 'ssh2';
import type { DemoRepository } from './demo-repository.ts';
import type { Arrival } from './http-pods.ts';

export interface SshPodsOptions {
  /** PEM, the same for all pods, so that clients see one host. */
  readonly hostKey: string;
  /** Null when this machine has no git. */
  readonly repository: DemoRepository | null;
}

const UPLOAD_PACK = /^git[- ]upload-pack '?\/?(?:~\/)?demo(?:\.git)?\/?'?$/;

/** Lets everyone in: with any key, with the password `demo`, or with nothing at all. */
export class SshPods {
  readonly #options: SshPodsOptions;
  readonly #children = new Set<ChildProcess>();

  constructor(options: SshPodsOptions) {
    this.#options = options;
  }

  serve(socket: Socket, arrival: Arrival): void {
    const server = new ssh2.Server({ hostKeys: [this.#options.hostKey], ident: 'portico-demo' }, (client) => {
      client.on('authentication', (context) => {
        if (context.method === 'password' && context.password !== 'demo')
          context.reject(['password', 'publickey']);
        else if (context.method === 'hostbased' || context.method === 'keyboard-interactive')
          context.reject();
        else context.accept();
      });
      client.on('session', (accept) => this.#session(accept(), arrival));
      // Half of all SSH connections end by a closed socket (probes, killed nodes): not worth a word.
      client.on('error', () => {});
    });
    server.injectSocket(socket);
  }

  /** Ends the git commands that still run. */
  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
  }

  #session(session: ssh2.Session, arrival: Arrival): void {
    let protocol: string | undefined;
    session.on('pty', (accept) => accept?.());
    session.on('env', (accept, _reject, { key, val }: ssh2.SetEnvInfo) => {
      // The only variable that git's own server reads; anything else a client sends is dropped.
      if (key === 'GIT_PROTOCOL' && /^[a-z0-9=:]{1,64}$/.test(val)) protocol = val;
      accept?.();
    });
    session.on('shell', (accept) => say(accept(), greeting(arrival)));
    session.on('exec', (accept, _reject, { command }) => {
      const channel = accept();
      if (UPLOAD_PACK.test(command)) this.#uploadPack(channel, protocol);
      else if (/^git[- ]/.test(command))
        refuse(channel, 'The demo serves one repository, demo.git, for reading.\n', 1);
      else say(channel, greeting(arrival));
    });
  }

  #uploadPack(channel: ssh2.ServerChannel, protocol: string | undefined): void {
    const { repository } = this.#options;
    if (repository === null) {
      refuse(channel, 'There is no git on this machine.\n', 127);
      return;
    }
    const child = spawn('git', ['upload-pack', '--strict', repository.path], {
      env: { ...repository.environment, ...(protocol === undefined ? {} : { GIT_PROTOCOL: protocol }) },
      stdio: 'pipe',
    });
    this.#children.add(child);
    // A client that has heard enough closes the channel while git still writes, and the other way round.
    child.stdin.on('error', () => {});
    channel.on('error', () => {});
    channel.once('close', () => child.kill());
    channel.pipe(child.stdin);
    child.stdout.pipe(channel, { end: false });
    child.stderr.pipe(channel.stderr, { end: false });
    child.once('error', (error) => refuse(channel, `git cannot be started: ${error.message}\n`, 127));
    child.once('close', (code) => {
      this.#children.delete(child);
      channel.exit(code ?? 1);
      channel.end();
    });
  }
}

function greeting({ node, address, pod }: Arrival): string {
  const where = pod.node === node ? 'on this node' : `on ${pod.node}`;
  return `Hi! You've reached git over SSH, but there is no shell here.\n  node  ${node} (${address})\n  pod   ${pod.name}, ${where}\n`;
}

/** To standard error, and a failure: what git shows to its user. */
function refuse(channel: ssh2.ServerChannel, text: string, code: number): void {
  channel.stderr.write(text);
  channel.exit(code);
  channel.end();
}

function say(channel: ssh2.ServerChannel, text: string): void {
  // With a terminal on the other side a line ends in CR LF; a carriage return does no harm without one.
  channel.write(text.replaceAll('\n', '\r\n'));
  channel.exit(0);
  channel.end();
}
