// Reads what the single micro-benchmarks print into one form.

export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** `[{name, medianNs}]` or `[{name, medianMs}]`. */
export function readNamed(output: string): readonly Figure[] {
  const rows = JSON.parse(output) as readonly { name: string; medianNs?: number; medianMs?: number }[];
  return rows.map(({ name, medianNs, medianMs }) =>
    medianNs === undefined
      ? { name, value: medianMs ?? Number.NaN, unit: 'ms' }
      : { name, value: medianNs, unit: 'ns' },
  );
}

/** A table with a heading of counts: `routes  1  1000`, then a name and a number of nanoseconds for each. */
export function readRouter(output: string): readonly Figure[] {
  const lines = output.trimEnd().split('\n');
  const counts = lines[1]?.trim().split(/\s+/).slice(1) ?? [];
  return lines.slice(2).flatMap((line) => {
    const words = line.trim().split(/\s+/);
    // A name may end in a number of its own: only as many words as there are counts are figures.
    const name = words.slice(0, -counts.length).join(' ');
    const figures = words.slice(-counts.length).map(Number);
    return counts.map((count, at) => ({
      name: `${name}, ${count} routes`,
      value: figures[at] ?? Number.NaN,
      unit: 'ns',
    }));
  });
}

interface PickerRow {
  readonly policy: string;
  readonly members: number;
  readonly buildMs: number;
  readonly healthChangeMs: number;
  readonly pickNs: number;
}

/** Of the many columns those that a request and a snapshot pay. */
export function readPickers(output: string): readonly Figure[] {
  const { rows, hashingNs } = JSON.parse(output) as { rows: readonly PickerRow[]; hashingNs: number };
  const figures = rows.flatMap(({ policy, members, buildMs, healthChangeMs, pickNs }) => {
    const of = `${policy}, ${members} targets`;
    return [
      { name: `${of}, pick`, value: pickNs, unit: 'ns' },
      { name: `${of}, build`, value: buildMs, unit: 'ms' },
      { name: `${of}, after a health change`, value: healthChangeMs, unit: 'ms' },
    ];
  });
  return [...figures, { name: 'hash of an IPv4 address', value: hashingNs, unit: 'ns' }];
}

/** Lines of `name   123.4 ns`. */
export function readLines(output: string): readonly Figure[] {
  return output.split('\n').flatMap((line) => {
    const match = /^(.*\S)\s+([\d.]+) (ns|us|ms)$/.exec(line);
    return match === null ? [] : [{ name: match[1]!, value: Number(match[2]), unit: match[3]! }];
  });
}
