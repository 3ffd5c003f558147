// What of the code under test has run: V8's own precise block coverage, kept as one bit for each character of source.

import inspector from 'node:inspector';

interface Script {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly {
      readonly startOffset: number;
      readonly endOffset: number;
      readonly count: number;
    }[];
  }[];
}

/** Source of one file: which characters belong to code that V8 counts, and which of those have run. */
interface SourceMarks {
  readonly counted: Uint8Array;
  readonly ran: Uint8Array;
}

/** Start it before the code under test is imported, or what runs at import is missed. */
export class Coverage {
  readonly #session = new inspector.Session();
  readonly #wanted: (url: string) => boolean;
  readonly #sources = new Map<string, SourceMarks>();
  /** What the last `take` marked. */
  #last: { marks: SourceMarks; at: number }[] = [];

  /** @param wanted decides by file URL which scripts count */
  constructor(wanted: (url: string) => boolean) {
    this.#wanted = wanted;
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Reads and resets V8's counters, which takes about a millisecond. Returns how many characters ran for the first time. */
  take(): number {
    let scripts: readonly Script[] = [];
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      // The session answers within the call; an error would leave the fuzzer blind without a word.
      if (error !== null) throw error;
      scripts = answer.result;
    });
    let fresh = 0;
    this.#last = [];
    for (const script of scripts) if (this.#wanted(script.url)) fresh += this.#mark(script);
    return fresh;
  }

  /** Takes back what the last `take` marked, so that its inputs can be run again one by one. */
  forgetLast(): void {
    for (const { marks, at } of this.#last) marks.ran[at] = 0;
    this.#last = [];
  }

  /** Share of the counted code that has run, 0 to 1. */
  get share(): number {
    let counted = 0;
    let ran = 0;
    for (const marks of this.#sources.values()) {
      for (let i = 0; i < marks.counted.length; i++) {
        counted += marks.counted[i]!;
        ran += marks.counted[i]! & marks.ran[i]!;
      }
    }
    return counted === 0 ? 0 : ran / counted;
  }

  get files(): number {
    return this.#sources.size;
  }

  /** Where code lies that has not run, as URL and character offsets. */
  *gaps(): Generator<{ url: string; start: number; end: number }> {
    for (const [url, { counted, ran }] of this.#sources) {
      for (let i = 0; i < counted.length; i++) {
        if (counted[i] === 0 || ran[i] === 1) continue;
        const start = i;
        while (i < counted.length && counted[i] === 1 && ran[i] === 0) i++;
        yield { url, start, end: i };
      }
    }
  }

  close(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  /** Ranges come outermost first, so that a later one decides about its characters. */
  #mark({ url, functions }: Script): number {
    const size = Math.max(...functions.map(({ ranges }) => ranges[0]?.endOffset ?? 0));
    let marks = this.#sources.get(url);
    if (marks === undefined || marks.counted.length < size) {
      const grown = { counted: new Uint8Array(size), ran: new Uint8Array(size) };
      if (marks !== undefined) {
        grown.counted.set(marks.counted);
        grown.ran.set(marks.ran);
      }
      marks = grown;
      this.#sources.set(url, marks);
    }
    const now = new Uint8Array(size);
    let least = size;
    let most = 0;
    for (const { ranges } of functions) {
      for (const { startOffset, endOffset, count } of ranges) {
        marks.counted.fill(1, startOffset, endOffset);
        now.fill(count > 0 ? 1 : 0, startOffset, endOffset);
        least = Math.min(least, startOffset);
        most = Math.max(most, endOffset);
      }
    }
    let fresh = 0;
    for (let i = least; i < most; i++) {
      if (now[i] === 1 && marks.ran[i] === 0) {
        marks.ran[i] = 1;
        this.#last.push({ marks, at: i });
        fresh++;
      }
    }
    return fresh;
  }
}
