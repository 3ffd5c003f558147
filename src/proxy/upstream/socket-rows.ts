// Rows of the kernel's table of sockets (proc(5), `/proc/net/tcp`): which are looked for, and what they say.

/** What a socket is known by in the table; fields are undefined while it is not connected. */
export interface SocketEnds {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
}

/** What the kernel says of an established socket. */
export interface SocketState {
  /** Bytes that the other side has not acknowledged. */
  readonly queuedBytes: number;
  /** Times in a row that it sent the oldest of them again. */
  readonly retransmits: number;
  /** Something is on its way and its timer runs; another timer runs while the other side reads nothing. */
  readonly awaitsAcknowledgement: boolean;
}

/** Sockets that are looked for. */
export interface Wanted {
  readonly byKey: Map<string, SocketEnds[]>;
  /** Most rows are of other sockets, and are told by this. */
  readonly localPorts: Set<number>;
}

// What is looked for -----------------------------------------------------------------------------------------------

const keys = new WeakMap<SocketEnds, string>();

export function wantNothing(): Wanted {
  return { byKey: new Map(), localPorts: new Set() };
}

/** Adds a socket to those of its family; one that is not connected is not looked for. */
export function want(socket: SocketEnds, wanted: { readonly ipv4: Wanted; readonly ipv6: Wanted }): void {
  // Asking a socket for its ends is four system calls, and connections to a doubted target are asked every second.
  let key = keys.get(socket);
  if (key === undefined) {
    key = keyOf(socket);
    if (key === undefined) return;
    keys.set(socket, key);
  }
  const { byKey, localPorts } = key.length > IPV4_KEY ? wanted.ipv6 : wanted.ipv4;
  const same = byKey.get(key);
  if (same !== undefined) {
    same.push(socket);
    return;
  }
  byKey.set(key, [socket]);
  const port = key.indexOf(':') + 1;
  localPorts.add(Number.parseInt(key.slice(port, port + PORT_DIGITS), 16));
}

/** Both ends as the table writes them. */
function keyOf({ localAddress, localPort, remoteAddress, remotePort }: SocketEnds): string | undefined {
  if (localAddress === undefined || localPort === undefined) return undefined;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  return `${hexOf(localAddress)}:${hex(localPort, PORT_DIGITS)} ${hexOf(remoteAddress)}:${hex(remotePort, PORT_DIGITS)}`;
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

function hexOf(address: string): string {
  return address.includes(':') ? hexOfIpv6(address) : hexOfIpv4(address);
}

/** The kernel prints 32-bit words in the machine's own order, which is little-endian wherever Node runs. */
function hexOfIpv4(address: string): string {
  return address
    .split('.')
    .reverse()
    .map((part) => hex(Number(part), 2))
    .join('');
}

function hexOfIpv6(address: string): string {
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const digits = [...before, ...Array<string>(zeros).fill('0'), ...after]
    .map((group) => group.toUpperCase().padStart(4, '0'))
    .join('');
  return digits.replaceAll(/(..)(..)(..)(..)/g, '$4$3$2$1');
}

/** Of a part of an IPv6 address, which may end with an IPv4 one (RFC 4291, 2.2). */
function groupsOf(text: string): string[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [group];
    const [a, b, c, d] = group.split('.').map((part) => hex(Number(part), 2));
    return [`${a}${b}`, `${c}${d}`];
  });
}

// Rows -------------------------------------------------------------------------------------------------------------

const NEWLINE = 0x0a;
const COLON = 0x3a;
const DIGIT_0 = 0x30;
const DIGIT_1 = 0x31;
const PORT_DIGITS = 4;
/** `addr:port addr:port`. */
const IPV4_KEY = 27;
const IPV6_KEY = 75;
/** After the number of a row and its colon comes a space. */
const KEY_AT = 2;
const NUMBER_DIGITS = 20;
/** After the key: ` st tx_queue:rx_queue tr:tm->when retrnsmt`; the numbers may be wider than the kernel's format asks. */
const REST_CHARS = 80;
const REST = /^ 01 ([\dA-F]+):[\dA-F]+ ([\dA-F]{2}):[\dA-F]+ ([\dA-F]+)/;
const RETRANSMIT = '01';

/**
 * Looks at the rows that begin in `table[start, end)`, where a row begins at `start`.
 * @returns where the next row begins
 */
export function findSockets(
  table: Buffer,
  start: number,
  end: number,
  wanted: Wanted,
  found: Map<SocketEnds, SocketState>,
): number {
  const { length } = table;
  let at = start;
  while (at < end && at < length) {
    const keyAt = keyAtOf(table, at);
    if (keyAt !== -1) {
      const keyChars = table[keyAt + 8] === COLON ? IPV4_KEY : IPV6_KEY;
      const stateAt = keyAt + keyChars + 1;
      at = keyAt;
      // ESTABLISHED
      if (table[stateAt] === DIGIT_0 && table[stateAt + 1] === DIGIT_1) {
        const portAt = keyAt + (keyChars - 1) / 2 - PORT_DIGITS;
        if (wanted.localPorts.has(portOf(table, portAt))) take(table, keyAt, keyChars, wanted, found);
      }
    }
    at = afterRow(table, at);
  }
  return at;
}

/** Where the row ends that goes on at `at`; a search in native code: a look comes seldom, and finds this code cold. */
function afterRow(table: Buffer, at: number): number {
  const newline = table.indexOf(NEWLINE, at);
  return newline === -1 ? table.length : newline + 1;
}

/** Where the ends begin in the row, or -1 when it is none, as the heading is. */
function keyAtOf(table: Buffer, at: number): number {
  for (let index = at; index < at + NUMBER_DIGITS; index += 1) {
    const byte = table[index];
    if (byte === COLON) return index + KEY_AT;
    if (byte === NEWLINE || byte === undefined) return -1;
  }
  return -1;
}

function portOf(table: Buffer, at: number): number {
  let port = 0;
  for (let index = at; index < at + PORT_DIGITS; index += 1) {
    const byte = table[index]!;
    // '0' to '9' are 0x30 to 0x39, 'A' to 'F' are 0x41 to 0x46.
    port = port * 16 + (byte & 0x0f) + (byte >> 6) * 9;
  }
  return port;
}

function take(
  table: Buffer,
  keyAt: number,
  keyChars: number,
  { byKey }: Wanted,
  found: Map<SocketEnds, SocketState>,
): void {
  const restAt = keyAt + keyChars;
  const sockets = byKey.get(table.latin1Slice(keyAt, restAt));
  if (sockets === undefined) return;
  const [, queued, timer, again] =
    REST.exec(table.latin1Slice(restAt, Math.min(table.length, restAt + REST_CHARS))) ?? [];
  if (queued === undefined) return;
  const state: SocketState = {
    queuedBytes: Number.parseInt(queued, 16),
    retransmits: Number.parseInt(again!, 16),
    awaitsAcknowledgement: timer === RETRANSMIT,
  };
  for (const socket of sockets) found.set(socket, state);
}
