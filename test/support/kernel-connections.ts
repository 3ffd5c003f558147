// TCP connections of this machine as the kernel shows them (proc(5), Linux): states, timers, and what is not acknowledged.

import { readFileSync } from 'node:fs';

/** States and timers as they stand there (`include/net/tcp_states.h`). */
export const ESTABLISHED = '01';
export const SYN_SENT = '02';
export const CLOSE_WAIT = '08';
export const KEEP_ALIVE_TIMER = '02';

interface KernelConnection {
  /** '00' where none runs. */
  readonly timer: string;
  /** Bytes that the other end has not acknowledged. */
  readonly unacknowledged: number;
}

/** The connections in this state with this port at that end. */
export function connectionsOf(
  end: 'own' | 'other',
  port: number,
  state: string,
): readonly KernelConnection[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const found: KernelConnection[] = [];
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, own, other, its, queues, timer] = line.trim().split(/\s+/);
    const at = end === 'own' ? own : other;
    if (at?.endsWith(wanted) !== true || its !== state) continue;
    found.push({
      timer: timer!.split(':')[0]!,
      unacknowledged: Number.parseInt(queues!.split(':')[0]!, 16),
    });
  }
  return found;
}
