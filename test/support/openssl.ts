// `openssl s_client` as a client that we did not write: connects, says something, and tells what it saw.

import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface SeenByOpenssl {
  readonly output: string;
  /** Subject of the server's certificate; '' when there was none. */
  readonly subject: string;
  /** `New` or `Reused`; '' when there was no session. */
  readonly sessions: readonly string[];
  readonly protocol: string;
  readonly cipher: string;
  /** Number of the alert that the server sent; 0 when none. */
  readonly alert: number;
}

/** @param say sent after the handshake; the client leaves when `until` has come, or at once */
export async function openssl(
  port: number,
  parameters: readonly string[],
  say = '',
  until: RegExp | null = null,
): Promise<SeenByOpenssl> {
  const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, ...parameters]);
  let output = '';
  const take = (chunk: Buffer): void => {
    output += chunk.toString('latin1');
    if (until?.test(output) === true) child.stdin.end();
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  // It may have left before everything was said.
  child.stdin.on('error', () => {});
  if (say !== '') child.stdin.write(say);
  if (until === null) child.stdin.end();
  await once(child, 'close');
  const found = (pattern: RegExp): string => pattern.exec(output)?.[1] ?? '';
  return {
    output,
    subject: found(/^subject=(.*)$/m),
    sessions: [...output.matchAll(/^(New|Reused), TLS/gm)].map(([, kind]) => kind!),
    protocol: found(/^(?:New|Reused), (TLSv[\d.]+)/m),
    cipher: found(/, Cipher is ([\w-]+)/),
    alert: Number(found(/SSL alert number (\d+)/)) || 0,
  };
}
