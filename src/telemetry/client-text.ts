// What the lines of one client connection share, as the bytes of their JSON text.

/** Of an exchange's record. */
export interface ClientFields {
  readonly listener: string;
  readonly protocol: string;
  readonly client: string;
  readonly method: string | null;
  readonly host: string | null;
}

/** Kept with the second line in a row that says the same, so that what is said once costs nothing more. */
export class ClientText {
  #fields: ClientFields | null = null;
  #text: Uint8Array | null = null;

  /** The text of these fields; null where it has not been kept. */
  of(fields: ClientFields): Uint8Array | null {
    return this.#text !== null && this.#fits(fields) ? this.#text : null;
  }

  /** @param bytes has the text of the fields in `[start, end)` */
  keep(fields: ClientFields, bytes: Uint8Array, start: number, end: number): void {
    if (this.#fits(fields)) {
      this.#text = Uint8Array.prototype.slice.call(bytes, start, end);
      return;
    }
    const { listener, protocol, client, method, host } = fields;
    this.#fields = { listener, protocol, client, method, host };
    this.#text = null;
  }

  #fits({ listener, protocol, client, method, host }: ClientFields): boolean {
    const kept = this.#fields;
    return (
      kept !== null &&
      kept.client === client &&
      kept.host === host &&
      kept.method === method &&
      kept.protocol === protocol &&
      kept.listener === listener
    );
  }
}
