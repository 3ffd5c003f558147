// Rows of the kernel's table of sockets as it writes them (proc(5), /proc/net/tcp).

export const SOCKET_HEADING =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'.padEnd(
    149,
  );

export interface SocketRow {
  /** Both ends, hexadecimal. */
  readonly ends: string;
  readonly state?: string;
  readonly queuedBytes?: number;
  readonly timer?: string;
  readonly retransmits?: number;
  readonly number?: number;
}

export function socketRow({
  ends,
  state = '01',
  queuedBytes = 0,
  timer = '01',
  retransmits = 0,
  number = 12,
}: SocketRow): string {
  const start = `${String(number).padStart(4)}: ${ends} ${state}`;
  const row = `${start} ${hex(queuedBytes)}:00000000 ${timer}:00000014 ${hex(retransmits)}     0        0 4711 2 0 20 4 30 10 -1`;
  // Only rows of IPv4 are all of one length.
  return `${ends.length === 27 ? row.padEnd(149) : row}\n`;
}

export function socketTable(...rows: SocketRow[]): Buffer {
  return Buffer.from(`${SOCKET_HEADING}\n${rows.map(socketRow).join('')}`, 'latin1');
}

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(8, '0');
}
