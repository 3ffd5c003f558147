// A row of the fault matrix: what goes wrong, and the four things that are said of it in docs/faults.md and tested.

import type { Scene } from './scene.ts';

export interface Fault {
  /** Heading of the part of the page. */
  readonly part:
    | 'connecting'
    | 'the target'
    | 'the client'
    | 'pools'
    | 'tunnels'
    | 'processes'
    | 'the machine';
  readonly name: string;
  /** What the client sees; for faults on the wire exactly what `Scene` calls it. */
  readonly client: string;
  /** `reason` of the access log's line, or `code` of Portico's own log where it says `code ...`; `-` for neither. */
  readonly logged: string;
  /** Series that go up, by name and some of their labels. */
  readonly counted: readonly string[];
  /** What recovers by itself, and how. */
  readonly recovers: string;
}

/** A fault between raw peers: `play` makes it happen and gives what the client saw; a request after it must succeed. */
export interface WireFault extends Fault {
  readonly play: (scene: Scene) => Promise<string>;
}

/** A fault of whole processes or the machine, shown by the test of the same name in this folder. */
export interface ProcessFault extends Fault {
  readonly shownBy: string;
}
