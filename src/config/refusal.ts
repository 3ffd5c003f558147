// Why a single written value is refused, and what to write instead.

/** Returned by the value parsers in place of a value. */
export class Refusal {
  readonly code: string;
  readonly message: string;
  readonly fix: string;

  constructor(code: string, message: string, fix: string) {
    this.code = code;
    this.message = message;
    this.fix = fix;
  }
}

/** `text` as it may stand in a message: quoted, and cut when it is long. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}
