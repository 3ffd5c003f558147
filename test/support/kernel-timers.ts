// What the kernel does on TCP connections of this machine, by the table that it shows of them (proc(5), Linux).

import { readFileSync } from 'node:fs';

/** States and timers as they stand there (`include/net/tcp_states.h`). */
export const ESTABLISHED = '01';
export const CLOSE_WAIT = '08';
export const KEEP_ALIVE_TIMER = '02';

/** The timers of the connections in this state whose own end has this port: '00' where none runs. */
export function timersOf(port: number, state: string): readonly string[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const timers: string[] = [];
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, at, , its, , timer] = line.trim().split(/\s+/);
    if (at?.endsWith(local) === true && its === state) timers.push(timer!.split(':')[0]!);
  }
  return timers;
}
