// What the router reads of a request.

/** What the router reads of a request head. The object is the caller's and may be reused: nothing of it is kept. */
export interface RouteRequest {
  readonly method: string;
  /** Lower-case, without port and trailing dot; empty when the request names none. */
  readonly host: string;
  /** Already normalised: no dot segments, escapes in one form. Case-sensitive. */
  readonly path: string;
  /** Without the `?`; empty when there is none. */
  readonly query: string;
  /** The value of a field by its lower-case name. */
  header(name: string): string | undefined;
}
