// A strict reader of the text exposition format 0.0.4, written from its specification, for the tests to judge what is rendered.

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ReadFamily {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"/;

/** Throws on anything that the format does not allow: order, doubled series, broken histograms, bad escapes. */
export function readExposition(text: string): ReadonlyMap<string, ReadFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line has no newline');
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  const seen = new Set<string>();
  let current = '';
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) ([^ ]+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, word, name, rest] = comment as unknown as [string, string, string, string];
      if (word === 'HELP') {
        if (families.has(name)) throw new Error(`${name} comes twice`);
        families.set(name, { type: '', help: rest, samples: [] });
        current = name;
      } else {
        const family = families.get(name);
        if (family === undefined || name !== current) throw new Error(`TYPE without HELP: ${line}`);
        family.type = rest;
      }
      continue;
    }
    if (seen.has(line.slice(0, line.lastIndexOf(' ')))) throw new Error(`doubled series: ${line}`);
    seen.add(line.slice(0, line.lastIndexOf(' ')));
    const sample = readSample(line);
    const family = families.get(current);
    if (family === undefined) throw new Error(`a sample before its family: ${line}`);
    const allowed = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    if (!allowed.some((suffix) => sample.name === current + suffix)) throw new Error(`misplaced: ${line}`);
    family.samples.push(sample);
  }
  for (const [name, family] of families)
    if (family.type === 'histogram') checkHistogram(name, family.samples);
  return families;
}

function readSample(line: string): Sample {
  const name = NAME.exec(line)?.[0];
  if (name === undefined) throw new Error(`no name: ${line}`);
  let rest = line.slice(name.length);
  const labels: Record<string, string> = {};
  if (rest.startsWith('{')) {
    rest = rest.slice(1);
    while (!rest.startsWith('}')) {
      const label = LABEL.exec(rest);
      if (label === null) throw new Error(`bad label: ${line}`);
      if (label[1]! in labels) throw new Error(`doubled label: ${line}`);
      labels[label[1]!] = label[2]!.replace(/\\(.)/g, (_, character: string) =>
        character === 'n' ? '\n' : character,
      );
      rest = rest.slice(label[0].length);
      if (rest.startsWith(',')) rest = rest.slice(1);
      else if (!rest.startsWith('}')) throw new Error(`labels do not end: ${line}`);
    }
    rest = rest.slice(1);
  }
  if (!/^ (NaN|[+-]Inf|[-+]?[0-9.]+(e[-+]?[0-9]+)?)$/.test(rest)) throw new Error(`bad value: ${line}`);
  return { name, labels, value: Number(rest.slice(1).replace('Inf', 'Infinity')) };
}

function checkHistogram(name: string, samples: readonly Sample[]): void {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const { le: _, ...labels } = sample.labels;
    const key = JSON.stringify(labels);
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  for (const group of groups.values()) {
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    const count = group.find((sample) => sample.name === `${name}_count`);
    if (buckets.at(-1)?.labels['le'] !== '+Inf') throw new Error(`${name} has no +Inf bucket at its end`);
    if (buckets.at(-1)!.value !== count?.value) throw new Error(`${name}: +Inf differs from the count`);
    if (!group.some((sample) => sample.name === `${name}_sum`)) throw new Error(`${name} has no sum`);
    for (let index = 1; index < buckets.length; index += 1) {
      const [left, right] = [buckets[index - 1]!, buckets[index]!];
      if (right.value < left.value) throw new Error(`${name} is not cumulative`);
      if (Number(right.labels['le']?.replace('+Inf', 'Infinity')) <= Number(left.labels['le'])) {
        throw new Error(`${name} has bounds out of order`);
      }
    }
  }
}
