// The floods: how each is made, and which limits must have counted it.

export type FloodKind =
  | 'idle'
  | 'headers'
  | 'huge-chunks'
  | 'tiny-chunks'
  | 'pipelined'
  | 'churn'
  | 'never-read'
  | 'never-answer'
  | 'drip';

export type SlowMode = 'headers' | 'body' | 'range' | 'read';

/** Below `connectionsPerClient`: each address of a flood may have all of its connections. */
export const CONNECTIONS_PER_ADDRESS = 100;

interface ScenarioBase {
  readonly title: string;
  /** What its clients see of Portico, in words. */
  readonly answer: string;
  /** Reasons of which at least one must have been counted. */
  readonly counted: readonly string[];
  /** Lasts for longer than the timeouts that end it. */
  readonly lasting?: boolean;
}

export type Scenario = ScenarioBase &
  (
    | { readonly tool: 'flooder'; readonly kind: FloodKind; readonly connections: number }
    | { readonly tool: 'slowhttptest'; readonly mode: SlowMode; readonly connections: number }
  );

export const SCENARIOS: readonly Scenario[] = [
  {
    title: '10,000 idle connections',
    answer: 'a quiet close after `timeouts.header`',
    tool: 'flooder',
    kind: 'idle',
    connections: 10_000,
    counted: ['header-timeout'],
    lasting: true,
  },
  {
    title: 'slowhttptest -H: headers that never end',
    answer: '408 after `timeouts.header`, counted from the first byte',
    tool: 'slowhttptest',
    mode: 'headers',
    connections: 1500,
    counted: ['header-timeout'],
    lasting: true,
  },
  {
    title: 'slowhttptest -B: bodies that come slowly',
    answer: '408 after `timeouts.rateGrace`; a target that has not seen the end of the body is left',
    tool: 'slowhttptest',
    mode: 'body',
    connections: 1500,
    counted: ['body-too-slow'],
    lasting: true,
  },
  {
    title: 'slowhttptest -R: overlapping ranges',
    answer: 'what the target answers',
    tool: 'slowhttptest',
    mode: 'range',
    connections: 1500,
    // Ranges are the target's business, and each request is small: nothing of Portico is under attack.
    counted: [],
  },
  {
    title: 'slowhttptest -X: answers that are read slowly',
    answer: 'a cut stream after `timeouts.rateGrace`',
    tool: 'slowhttptest',
    mode: 'read',
    connections: 1500,
    counted: ['client-too-slow'],
    lasting: true,
  },
  {
    title: 'header floods: 5,000 fields, or one of 60 kB',
    answer: '431 and a close; beyond `connectionRatePerClient` a close before a byte is read',
    tool: 'flooder',
    kind: 'headers',
    connections: 100,
    counted: ['header-too-large', 'client-connection-rate'],
  },
  {
    title: 'huge chunks, one after the other',
    answer: 'nothing: read as fast as the target takes it',
    tool: 'flooder',
    kind: 'huge-chunks',
    connections: 20,
    counted: [],
  },
  {
    title: 'tiny chunks of one byte',
    answer: 'nothing: read in turns, and passed on in chunks of what was read',
    tool: 'flooder',
    kind: 'tiny-chunks',
    connections: 20,
    counted: [],
  },
  {
    title: 'pipelined floods: 1,500 requests a write',
    answer: 'answers, 429 beyond `requestRatePerClient`, and a close after `pipelinedRequests`',
    tool: 'flooder',
    kind: 'pipelined',
    connections: 50,
    counted: ['pipelined-requests'],
  },
  {
    title: 'connection churn',
    answer: 'beyond `connectionRatePerClient` a close before a byte is read',
    tool: 'flooder',
    kind: 'churn',
    connections: 200,
    counted: ['client-connection-rate'],
  },
  {
    title: 'clients that never read an answer of 32 MiB',
    answer: 'a cut stream after `timeouts.rateGrace`',
    tool: 'flooder',
    kind: 'never-read',
    connections: 1500,
    counted: ['client-too-slow', 'memory-limit'],
  },
  {
    title: 'backends that never answer',
    answer:
      '504 after `timeouts.responseHeader`; 503 at once when `pending` is full, or after `pendingTimeout`',
    tool: 'flooder',
    kind: 'never-answer',
    connections: 1500,
    counted: ['response-timeout', 'pending-limit', 'pending-timeout'],
  },
  {
    title: 'backends that answer one byte a second',
    answer: 'a cut stream after `timeouts.rateGrace`; 503 as above for those that wait',
    tool: 'flooder',
    kind: 'drip',
    connections: 1500,
    counted: ['answer-too-slow', 'pending-limit', 'pending-timeout'],
  },
];
