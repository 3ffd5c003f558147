// Values as JSON text for the access log: pure ASCII, cut to a length, and remembered where they come again and again.

/** Printable ASCII without the quote and the backslash needs no escape. */
const NEEDS_ESCAPE = /[^\x20\x21\x23-\x5b\x5d-\x7e]/;

/**
 * A JSON string of at most `limit` characters between its quotes, or `null`. Pure ASCII, since control bytes and C1 codes
 * in a header must not reach the terminal of whoever reads the log.
 */
export function quoted(value: string | null, limit: number): string {
  if (value === null) return 'null';
  if (value.length <= limit && !NEEDS_ESCAPE.test(value)) return `"${value}"`;
  return `"${escapeWithin(value, limit)}"`;
}

function escapeWithin(value: string, limit: number): string {
  let escaped = '';
  for (let index = 0; index < value.length; index += 1) {
    const code = value.charCodeAt(index);
    const unit =
      code === 0x22 || code === 0x5c
        ? `\\${value[index]}`
        : code >= 0x20 && code < 0x7f
          ? value[index]!
          : `\\u${code.toString(16).padStart(4, '0')}`;
    if (escaped.length + unit.length > limit) return escaped;
    escaped += unit;
  }
  return escaped;
}

/** What cannot stand in JSON is `null`. */
export function plainNumber(value: number | null): string {
  return value === null || !Number.isFinite(value) ? 'null' : String(value);
}

/** `''`, `.001`, ... `.999`, without zeros at the end. */
const FRACTIONS: readonly string[] = Array.from({ length: 1000 }, (_, value) =>
  value === 0 ? '' : `.${String(value).padStart(3, '0').replace(/0+$/, '')}`,
);
/** Below it, a count of microseconds stays a small integer. */
const WHOLE_BELOW_MS = 1_000_000;

/** Milliseconds with at most three decimals, by two whole numbers, as printing fractions makes a line 7 to 21% dearer. */
export function milliseconds(value: number | null): string {
  if (value === null) return 'null';
  if (!(value >= 0 && value < WHOLE_BELOW_MS)) return plainNumber(Math.round(value * 1000) / 1000);
  const microseconds = Math.round(value * 1000);
  const whole = Math.floor(microseconds / 1000);
  return whole + FRACTIONS[microseconds - whole * 1000]!;
}

/**
 * `quoted` for values of which a few are common. Each value has one slot, where the next that falls on it takes its place:
 * clients can make it useless but not large. A slot keeps the text that its value was cut from, at most one request head.
 */
export class RepeatedTexts {
  readonly #limit: number;
  readonly #mask: number;
  readonly #values: (string | null)[];
  readonly #texts: string[];

  /** @param slots a power of two */
  constructor(limit: number, slots: number) {
    this.#limit = limit;
    this.#mask = slots - 1;
    this.#values = Array.from({ length: slots }, () => null);
    this.#texts = Array.from({ length: slots }, () => 'null');
  }

  of(value: string | null): string {
    if (value === null) return 'null';
    const { length } = value;
    // Addresses differ at their end, names and agents in length and middle. Of an empty value NaN is made, and `& mask` 0.
    const slot =
      (length +
        5 * value.charCodeAt(length - 1) +
        3 * value.charCodeAt(length - 2) +
        value.charCodeAt(length >> 1)) &
      this.#mask;
    if (this.#values[slot] !== value) {
      this.#texts[slot] = quoted(value, this.#limit);
      this.#values[slot] = value;
    }
    return this.#texts[slot]!;
  }
}

/** Text that is made once for each object, and kept as long as the object is. */
export class TextOf {
  readonly #texts = new WeakMap<object, string>();

  get(key: object): string | undefined {
    return this.#texts.get(key);
  }

  /** Keeps `text` in one piece: joined to others again and again, it need not be put together each time. */
  keep(key: object, text: string): string {
    const whole = Buffer.from(text, 'latin1').toString('latin1');
    this.#texts.set(key, whole);
    return whole;
  }
}
