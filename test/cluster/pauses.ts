// The times at which this process itself stood still: clients that live in it saw nothing then, and nobody was late for that.

const TICK_MS = 20;
/** A tick that comes so much too late was held up by more than a full queue of events. */
const PAUSE_MS = 100;

interface Pause {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Ends the waiting for something. */
export interface Patience {
  /** Something came: the whole time again. */
  restart(): void;
  end(): void;
}

export class Pauses {
  readonly #now: () => number;
  readonly #pauses: Pause[] = [];
  #tickedAtMs: number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#tickedAtMs = now();
  }

  /** Watches for as long as the process lives. */
  watch(): this {
    setInterval(() => this.tick(), TICK_MS).unref();
    return this;
  }

  /** The event loop goes round. */
  tick(): void {
    const nowMs = this.#now();
    const dueAtMs = this.#tickedAtMs + TICK_MS;
    if (nowMs - dueAtMs > PAUSE_MS) this.#pauses.push({ fromMs: dueAtMs, untilMs: nowMs });
    this.#tickedAtMs = nowMs;
  }

  /** For how many milliseconds of a time nothing went on here; what has not been ticked off yet is among them. */
  within(fromMs: number, untilMs: number): number {
    this.tick();
    let sumMs = 0;
    for (let index = this.#pauses.length - 1; index >= 0; index -= 1) {
      const pause = this.#pauses[index]!;
      if (pause.untilMs <= fromMs) break;
      sumMs += Math.max(0, Math.min(pause.untilMs, untilMs) - Math.max(pause.fromMs, fromMs));
    }
    return sumMs;
  }

  /** All of them: how many, and their sum. */
  total(): { readonly count: number; readonly ms: number } {
    return {
      count: this.#pauses.length,
      ms: this.#pauses.reduce((sum, { fromMs, untilMs }) => sum + untilMs - fromMs, 0),
    };
  }

  /**
   * Calls `onEnd` when so much time has passed in which this process was there to see something come. After a pause the
   * timers are due before the sockets are read: what came meanwhile is let in first.
   */
  patience(limitMs: number, onEnd: () => void): Patience {
    let fromMs = this.#now();
    const look = (): void => {
      const nowMs = this.#now();
      const leftMs = limitMs - (nowMs - fromMs - this.within(fromMs, nowMs));
      if (leftMs <= 0) onEnd();
      else timer = setTimeout(look, leftMs);
    };
    let timer = setTimeout(look, limitMs);
    return {
      restart: () => {
        fromMs = this.#now();
        clearTimeout(timer);
        timer = setTimeout(look, limitMs);
      },
      end: () => clearTimeout(timer),
    };
  }
}

/** Of this process. */
export const PAUSES = new Pauses().watch();
