// Label and field selectors of list and watch requests: the equality and existence forms.

import type { KubeObject } from './kube-object.ts';

export type Selects = (object: KubeObject) => boolean;

/** Null when a selector is of a form that is not served. */
export function parseSelectors(labels: string | null, fields: string | null): Selects | null {
  const tests: Selects[] = [];
  for (const term of terms(labels)) {
    const match = /^(!?)([A-Za-z0-9_./-]+)(?:(!?)==?(.*))?$/.exec(term);
    if (match === null) return null;
    const [, absent, name = '', not, value] = match;
    tests.push((object) => {
      const label = object.metadata.labels?.[name];
      if (value === undefined) return (label === undefined) === (absent === '!');
      return (label === value) !== (not === '!');
    });
  }
  for (const term of terms(fields)) {
    const match = /^metadata\.(name|namespace)==?([^!]*)$/.exec(term);
    if (match === null) return null;
    const [, field, value] = match;
    tests.push((object) => object.metadata[field as 'name' | 'namespace'] === value);
  }
  return (object) => tests.every((test) => test(object));
}

function terms(selector: string | null): readonly string[] {
  return (selector ?? '')
    .split(',')
    .map((term) => term.trim())
    .filter((term) => term !== '');
}
