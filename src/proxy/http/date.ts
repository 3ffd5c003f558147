// The Date field (RFC 9110, section 6.6.1), made once a second.

export class HttpDate {
  readonly #wallClock: () => number;
  #second = -1;
  #text = '';

  constructor(wallClock: () => number) {
    this.#wallClock = wallClock;
  }

  toString(): string {
    const second = Math.floor(this.#wallClock() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#text = new Date(second * 1000).toUTCString();
    }
    return this.#text;
  }
}
