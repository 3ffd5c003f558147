// Loaded into every process of the program with `--import`: a signal makes a child hang or use up its heap, for real.

import process from 'node:process';

/** Blocks the event loop for good. */
export const HANG: NodeJS.Signals = 'SIGPWR';
/** Allocates until V8's heap limit ends the process. */
export const EXHAUST: NodeJS.Signals = 'SIGWINCH';

if (process.argv.some((argument) => argument.startsWith('--role='))) {
  process.on(HANG, () => {
    for (;;);
  });
  process.on(EXHAUST, () => {
    const held: object[] = [];
    for (;;) held.push(Array.from({ length: 1000 }, (_, at) => ({ at })));
  });
}
