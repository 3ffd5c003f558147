// Makes a whole value immutable, so that no part of the program can change the configuration it was handed.

/** Freezes `value` and everything in it, and returns it. For trees of plain data: objects and arrays. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) {
      deepFreeze(inner);
    }
  }
  return value;
}
