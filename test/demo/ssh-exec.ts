// Runs one command over SSH with the library's client, so that the tests need no ssh program.

import ssh2 from 'ssh2';

export interface SshResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | undefined;
}

export interface SshExecOptions {
  readonly port: number;
  readonly command: string;
  /** `ecdsa-sha2-nistp256 AAAA...`: any other host key is refused. */
  readonly hostKey: string;
  readonly password?: string;
  /** Ends the command's input with this. */
  readonly input?: string;
}

export async function sshExec(options: SshExecOptions): Promise<SshResult> {
  const client = new ssh2.Client();
  try {
    return await new Promise<SshResult>((resolve, reject) => {
      client.once('error', reject);
      client.once('ready', () => {
        client.exec(options.command, (error, channel) => {
          if (error !== undefined) {
            reject(error);
            return;
          }
          let [stdout, stderr] = ['', ''];
          let code: number | undefined;
          channel.on('data', (chunk: Buffer) => {
            stdout += chunk.toString('latin1');
          });
          channel.stderr.on('data', (chunk: Buffer) => {
            stderr += chunk.toString('latin1');
          });
          channel.once('exit', (status: number) => {
            code = status;
          });
          channel.once('close', () => resolve({ stdout, stderr, code }));
          channel.end(options.input ?? '');
        });
      });
      client.connect({
        host: '127.0.0.1',
        port: options.port,
        username: 'git',
        hostVerifier: (key: Buffer) => key.toString('base64') === options.hostKey.split(' ')[1],
        ...(options.password === undefined ? {} : { password: options.password }),
      });
    });
  } finally {
    client.end();
  }
}
