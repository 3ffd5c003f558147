// Owns the seed of all properties: a run of the tests is the same every time, and new cases are sought when asked to.

import fc from 'fast-check';

/**
 * `PROPERTY_SEED`: a whole number, or `random`, which looks for counterexamples that nobody has seen yet. A property that
 * fails prints its seed and path.
 */
const wanted = process.env['PROPERTY_SEED'] ?? '1';
if (wanted !== 'random') fc.configureGlobal({ seed: Number(wanted) });

export { fc };
