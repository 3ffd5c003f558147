// What was asserted and measured: passed, failed and skipped checks, and the time from each event to its effect.

export interface Measurement {
  readonly event: string;
  /** From the API server's event to the expected state in `/targets`; null when only leaving was measured. */
  readonly shownMs: number | null;
  /** From the event to the last new request at a node that should have none; null when it is not about leaving. */
  readonly lastRequestMs: number | null;
}

export class Report {
  readonly measurements: Measurement[] = [];
  readonly failures: string[] = [];
  readonly #say: (line: string) => void;
  /** Names of the checks since the last `takeChecks`, for the transcript. */
  #checks: string[] = [];
  passed = 0;
  skipped = 0;

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  say(line: string): void {
    this.#say(line);
  }

  /** Runs one assertion; what it throws is a failed check, and the run goes on. */
  async check<T>(name: string, assertion: () => T | Promise<T>): Promise<T | undefined> {
    try {
      const result = await assertion();
      this.passed++;
      this.#checks.push(`- ok: ${name}`);
      this.#say(`  ok    ${name}`);
      return result;
    } catch (error) {
      this.failures.push(`${name}: ${(error as Error).message}`);
      this.#checks.push(`- FAILED: ${name}: ${(error as Error).message}`);
      this.#say(`  FAIL  ${name}: ${(error as Error).message}`);
      return undefined;
    }
  }

  skip(name: string, reason: string): void {
    this.skipped++;
    this.#say(`  skip  ${name}: ${reason}`);
  }

  /** What was checked since the last call, as a Markdown list. */
  takeChecks(): string {
    const taken = this.#checks.join('\n');
    this.#checks = [];
    return taken;
  }

  measured(measurement: Measurement): void {
    this.measurements.push(measurement);
  }

  /** A Markdown table of all measurements. */
  measurementTable(): string {
    const rows = this.measurements.map((m) => {
      const shown = m.shownMs === null ? '' : Math.max(0, Math.round(m.shownMs));
      const last = m.lastRequestMs === null ? '' : describeLast(m.lastRequestMs);
      return `| ${m.event} | ${shown} | ${last} |`;
    });
    return [
      '| event | shown in `/targets` after (ms) | last new request there (ms after the event) |',
      '| --- | --- | --- |',
      ...rows,
    ].join('\n');
  }

  get lastLine(): string {
    return `${this.passed} passed, ${this.failures.length} failed, ${this.skipped} skipped`;
  }
}

function describeLast(lastRequestMs: number): string {
  return lastRequestMs <= 0 ? 'none' : String(Math.round(lastRequestMs));
}
