// Owns the SSH probe: give our identification line, read the server's, leave politely (RFC 4253, section 4.2).

import net from 'node:net';
import { failed, fromError, type ProbeEnd, type ProbePlace, passed } from './verdict.ts';

const IDENTIFICATION = 'SSH-2.0-Portico\r\n';
/** A server may send other lines first; this many bytes are looked at. */
const GREETING_LIMIT_BYTES = 8 * 1024;

/** Starts the probe; returns what cuts it off. */
export function identificationProbe({ header, ...at }: ProbePlace, end: ProbeEnd): () => void {
  const socket = net.connect({ ...at, noDelay: true });
  if (header !== null) socket.write(header);
  // At once, as both sides may: an sshd whose client leaves without one calls it a bad handshake, also when it was late itself.
  socket.write(IDENTIFICATION);
  let greeting = '';
  let done = false;
  socket.on('data', (chunk) => {
    // After the verdict the key exchange that sshd starts is read away, so that our close is not a reset.
    if (done) return;
    greeting += chunk.toString('latin1');
    const verdict = judge(greeting);
    if (verdict === null) return;
    done = true;
    if (verdict === 'ssh') {
      end.settle(passed());
      socket.end();
    } else {
      end.settle(failed('nonsense', verdict));
      socket.destroy();
    }
  });
  socket.once('end', () => {
    if (!done) end.settle(failed('closed', 'closed before an SSH identification'));
    socket.end();
  });
  socket.once('error', (error) => end.settle(fromError(error)));
  socket.once('close', end.closed);
  return () => socket.destroy();
}

/** Null: more is needed. `ssh`: a whole identification line. Otherwise what is wrong. */
function judge(greeting: string): 'ssh' | string | null {
  let start = 0;
  for (let newline = greeting.indexOf('\n'); newline !== -1; newline = greeting.indexOf('\n', start)) {
    const line = greeting.slice(start, newline);
    if (line.startsWith('SSH-2.0-') || line.startsWith('SSH-1.99-')) return 'ssh';
    if (line.startsWith('SSH-')) return 'an SSH version other than 2.0';
    start = newline + 1;
  }
  if (greeting.length > GREETING_LIMIT_BYTES) return 'no SSH identification';
  return null;
}
