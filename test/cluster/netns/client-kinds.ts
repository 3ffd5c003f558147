// Which clients a promise counts, by their names in the ledger.

/** Clients whose requests may be sent again: RFC 9110, section 9.2.2. */
export const isIdempotent = (client: string): boolean =>
  /^(keep-alive GET|new connection GET|curl)/.test(client);
export const isLocal = (client: string): boolean => client.endsWith('/api');
