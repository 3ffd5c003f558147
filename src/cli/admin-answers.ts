// The answers of the admin HTTP as the command line reads them; checked only as far as they are printed.

import type { ExplainedTarget } from '../model/targets.ts';

export interface TargetsAnswer {
  readonly targets: readonly ExplainedTarget[];
}

/** Of `/targets`: `truncated` when there are more rows than one answer holds. */
export interface TargetListAnswer extends TargetsAnswer {
  readonly truncated: boolean;
}

export interface TargetsExplanationAnswer extends TargetsAnswer {
  readonly kind: 'node' | 'service';
  readonly name: string;
}

export interface UrlExplanationAnswer {
  readonly kind: 'url';
  readonly url: string;
  readonly method: string;
  readonly listener: string | null;
  readonly route: string | null;
  readonly rule: string | null;
  readonly captures: Readonly<Record<string, string>>;
  readonly action: string;
  readonly pools: readonly {
    readonly name: string;
    readonly weight: number;
    readonly pick: string | null;
    readonly targets: readonly ExplainedTarget[];
  }[];
  readonly failure: string | null;
  readonly steps: readonly string[];
}

export type ExplanationAnswer = TargetsExplanationAnswer | UrlExplanationAnswer;

export interface DrainAnswer {
  readonly cluster: string;
  /** Null: the whole cluster. */
  readonly node: string | null;
  readonly state: string;
  readonly draining: boolean;
  readonly drained: boolean;
  readonly flows: number;
  readonly kept: boolean;
}

export interface DrainsAnswer {
  readonly drains: readonly { readonly cluster: string; readonly node: string | null }[];
}

export interface StatusAnswer {
  readonly clusters: readonly { readonly name: string }[];
}

export interface ReloadAnswer {
  readonly ok: boolean;
  readonly version: number;
  readonly problems: readonly string[];
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isTarget = (value: unknown): value is ExplainedTarget =>
  isRecord(value) &&
  typeof value['pool'] === 'string' &&
  typeof value['address'] === 'string' &&
  typeof value['port'] === 'number' &&
  typeof value['weight'] === 'number' &&
  typeof value['state'] === 'string' &&
  typeof value['health'] === 'string' &&
  Array.isArray(value['reasons']) &&
  value['reasons'].every((reason) => isRecord(reason) && typeof reason['code'] === 'string');

export const isTargetsAnswer = (value: unknown): value is TargetsAnswer =>
  isRecord(value) && Array.isArray(value['targets']) && value['targets'].every(isTarget);

export const isTargetListAnswer = (value: unknown): value is TargetListAnswer =>
  isTargetsAnswer(value) && typeof (value as { truncated?: unknown }).truncated === 'boolean';

export const isExplanationAnswer = (value: unknown): value is ExplanationAnswer => {
  if (!isRecord(value)) return false;
  if (value['kind'] !== 'url') return typeof value['name'] === 'string' && isTargetsAnswer(value);
  return (
    typeof value['url'] === 'string' &&
    isRecord(value['captures']) &&
    Array.isArray(value['steps']) &&
    Array.isArray(value['pools']) &&
    value['pools'].every(
      (pool) => isRecord(pool) && typeof pool['name'] === 'string' && isTargetsAnswer(pool),
    )
  );
};

export const isDrainAnswer = (value: unknown): value is DrainAnswer =>
  isRecord(value) &&
  isNodeOrAll(value['node']) &&
  typeof value['cluster'] === 'string' &&
  typeof value['drained'] === 'boolean' &&
  typeof value['flows'] === 'number' &&
  typeof value['kept'] === 'boolean';

const isNodeOrAll = (value: unknown): boolean => value === null || typeof value === 'string';

export const isDrainsAnswer = (value: unknown): value is DrainsAnswer =>
  isRecord(value) &&
  Array.isArray(value['drains']) &&
  value['drains'].every(
    (drain) => isRecord(drain) && typeof drain['cluster'] === 'string' && isNodeOrAll(drain['node']),
  );

export const isStatusAnswer = (value: unknown): value is StatusAnswer =>
  isRecord(value) &&
  Array.isArray(value['clusters']) &&
  value['clusters'].every((cluster) => isRecord(cluster) && typeof cluster['name'] === 'string');

export const isReloadAnswer = (value: unknown): value is ReloadAnswer =>
  isRecord(value) &&
  typeof value['ok'] === 'boolean' &&
  typeof value['version'] === 'number' &&
  Array.isArray(value['problems']) &&
  value['problems'].every((problem) => typeof problem === 'string');

/** The text of an error answer, or null. */
export function errorText(value: unknown): string | null {
  if (!isRecord(value) || !isRecord(value['error'])) return null;
  const { text } = value['error'];
  return typeof text === 'string' ? text : null;
}
