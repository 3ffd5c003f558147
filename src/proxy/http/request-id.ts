// Request ids: UUIDv7 (RFC 9562, section 5.7), cheap to make because all but a counter is cached for a millisecond.

const HEX3 = Array.from({ length: 4096 }, (_, value) => value.toString(16).padStart(3, '0'));
const FOREIGN = /^[A-Za-z0-9._~+/=-]{1,128}$/;

/** Makes the ids of one worker; the suffix, 62 random bits, tells workers apart. */
export class RequestIds {
  readonly #wallClock: () => number;
  readonly #suffix: string;
  #prefix = '';
  #atMs = -1;
  #count = 0;

  constructor(wallClock: () => number, random: () => number) {
    this.#wallClock = wallClock;
    const digits = (count: number): string =>
      Math.floor(random() * 16 ** count)
        .toString(16)
        .padStart(count, '0');
    // The variant bits 10 come first (RFC 9562, section 4.1).
    this.#suffix = `-${'89ab'[Math.floor(random() * 4)]}${digits(3)}-${digits(6)}${digits(6)}`;
  }

  next(): string {
    const nowMs = this.#wallClock();
    // After 4096 ids in one millisecond, or when the clock steps back, the time part is moved on instead of repeated.
    if (nowMs > this.#atMs) this.#start(nowMs);
    else if (this.#count === 4096) this.#start(this.#atMs + 1);
    const id = this.#prefix + HEX3[this.#count]! + this.#suffix;
    this.#count += 1;
    return id;
  }

  #start(atMs: number): void {
    this.#atMs = atMs;
    this.#count = 0;
    const hex = atMs.toString(16).padStart(12, '0');
    this.#prefix = `${hex.slice(0, 8)}-${hex.slice(8)}-7`;
  }
}

/** Whether an id from a trusted proxy is short and plain enough to be passed on and logged. */
export function isAcceptableRequestId(value: string): boolean {
  return FOREIGN.test(value);
}
