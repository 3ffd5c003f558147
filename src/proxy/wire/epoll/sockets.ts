// What sockets.c exports: system calls on descriptors. Results below 0 are errors, the numbers that libuv has for them.

export interface Sockets {
  /**
   * Begins, once in a process.
   * @param events takes `MOST_EVENTS` events of `EVENT_INTS` numbers each
   * @param onReady called from the event loop with how many it has
   */
  start(events: Int32Array, onReady: (count: number) => void): number;
  /** More events, of what is ready by now. @returns how many */
  wait(): number;
  /** Whether the event loop goes on for the sake of what is watched. */
  hold(on: 0 | 1): void;
  /** @param interest bits of epoll(7); each event comes with `slot` and `generation` */
  watch(fd: number, slot: number, generation: number, interest: number): number;
  change(fd: number, slot: number, generation: number, interest: number): number;
  leave(fd: number): number;
  /** Asks for a name, which `address` and `port` tell. */
  name(fd: number, peer: 0 | 1): number;
  /** Of the name that `accept` or `name` has asked for last; '' when it has none. */
  address(): string;
  port(): number;
  listen(fd: number, backlog: number): number;
  /** A descriptor; EMFILE when none was left, and then the connection is gone. */
  accept(fd: number): number;
  open(family: 4 | 6): number;
  /** 0 also where it goes on: then the descriptor becomes ready to be written to, and `error` says why. */
  connect(fd: number, address: string, port: number): number;
  error(fd: number): number;
  /** How many bytes came into `buffer`; 0 at the end. */
  receive(fd: number, buffer: Uint8Array): number;
  /** How many characters of `text` were taken, of at most 65,535. */
  sendText(fd: number, text: string): number;
  /** How many bytes of `bytes[start, end)` were taken. */
  sendBytes(fd: number, bytes: Uint8Array, start: number, end: number): number;
  shutdown(fd: number): number;
  close(fd: number, reset: 0 | 1): number;
  setNoDelay(fd: number, on: 0 | 1): number;
  /** Seconds. */
  setKeepAlive(fd: number, on: 0 | 1, delay: number, interval: number, count: number): number;
}

/** As in sockets.c. */
export const MOST_EVENTS = 512;
export const EVENT_INTS = 3;

/** Bits of epoll(7). */
export const EPOLLIN = 1;
export const EPOLLPRI = 2;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 16;
export const EPOLLRDHUP = 0x2000;
export const EPOLLET = 1 << 31;
