// What each end of a list or watch means for the next try: which ones ask for a list, prove nothing, or say that the
// API server is out of reach.

import type { RestartReason } from './counts.ts';

/** After these the state between the last event and now is unknown, so only a list helps. */
export const relistReasons: ReadonlySet<RestartReason> = new Set([
  'expired',
  'bad-line',
  'long-line',
  'stream-error',
  'internal',
]);

/** A server's own fault proves nothing about its health, even when an event came before it. */
export const unprovenReasons: ReadonlySet<RestartReason> = new Set([...relistReasons, 'throttled']);

/** Ends that make one doubt the resourceVersion itself, once several watches in a row brought nothing but them. */
export const barrenReasons: ReadonlySet<RestartReason> = new Set([
  'ended',
  'inactive',
  'timeout',
  'http-status',
]);
export const barrenWatchLimit = 3;
/** After these another reflector's success means that a try is worth while now. */
export const outOfReachReasons: ReadonlySet<RestartReason> = new Set(['connection', 'timeout']);

/** Failures that do not show an answer of the API server; any other shows that it is there. */
export const unansweredReasons: ReadonlySet<RestartReason> = new Set([
  ...outOfReachReasons,
  'credentials',
  'internal',
]);
