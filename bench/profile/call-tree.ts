// What a CPU profile of V8 says: who called whom for how long, and which functions spent the time themselves.

import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The parts of V8's Profile (Chrome DevTools Protocol, Profiler domain) that are read here. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** Microseconds. */
  readonly startTime: number;
  readonly endTime: number;
  /** The node that was running at each sample. */
  readonly samples?: readonly number[];
  /** Microseconds from the start to the first sample, then from sample to sample. */
  readonly timeDeltas?: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly children?: readonly number[];
}

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  /** From 0; -1 where there is none. */
  readonly lineNumber: number;
}

export interface Frame {
  /** Of the function; `(program)` is native code outside any, `(garbage collector)` itself. */
  readonly name: string;
  /** File and line, from the repository where it lies in it; empty for native functions. */
  readonly place: string;
  /** Microseconds in the function itself, and with all that it called. */
  readonly selfUs: number;
  readonly totalUs: number;
  /** The longest first. */
  readonly calls: readonly Frame[];
}

export interface SelfTime {
  readonly name: string;
  readonly place: string;
  readonly selfUs: number;
}

/** Waiting for something to do is no work. */
const IDLE = '(idle)';

/**
 * The tree of calls under one root, without idle time; calls of one function from one place are one frame.
 * @param root directory that places are told from
 * @throws SyntaxError for a profile without samples
 */
export function callTree(profile: CpuProfile, root: string): Frame {
  const selfUs = selfTimes(profile);
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const frameOf = (name: string, place: string, own: readonly ProfileNode[]): Frame => {
    const children = own.flatMap((node) => (node.children ?? []).map((id) => nodes.get(id)!));
    const groups = Map.groupBy(
      children.filter(({ callFrame }) => callFrame.functionName !== IDLE),
      ({ callFrame }) => `${nameOf(callFrame)}\n${placeOf(callFrame, root)}`,
    );
    const calls = [...groups.values()]
      .map((group) => frameOf(nameOf(group[0]!.callFrame), placeOf(group[0]!.callFrame, root), group))
      .sort((one, other) => other.totalUs - one.totalUs);
    const self = own.reduce((sum, { id }) => sum + (selfUs.get(id) ?? 0), 0);
    return {
      name,
      place,
      selfUs: self,
      totalUs: calls.reduce((sum, call) => sum + call.totalUs, self),
      calls,
    };
  };
  const top = profile.nodes[0];
  if (top === undefined) throw new SyntaxError('a profile without nodes');
  return frameOf('all', '', [top]);
}

/** Every function once, whoever called it; the longest first. */
export function selfTimesOf(tree: Frame): readonly SelfTime[] {
  const all = new Map<string, SelfTime>();
  const visit = ({ name, place, selfUs, calls }: Frame): void => {
    const key = `${name}\n${place}`;
    all.set(key, { name, place, selfUs: selfUs + (all.get(key)?.selfUs ?? 0) });
    for (const call of calls) visit(call);
  };
  visit(tree);
  return [...all.values()].filter(({ selfUs }) => selfUs > 0).sort((one, other) => other.selfUs - one.selfUs);
}

/** A node runs from its sample to the next. */
function selfTimes({ samples, timeDeltas, startTime, endTime }: CpuProfile): ReadonlyMap<number, number> {
  if (samples === undefined || samples.length === 0 || timeDeltas?.length !== samples.length)
    throw new SyntaxError('a profile without samples');
  const times = new Map<number, number>();
  let atUs = startTime;
  for (const [index, id] of samples.entries()) {
    atUs += timeDeltas[index]!;
    const untilUs = index + 1 < samples.length ? atUs + timeDeltas[index + 1]! : Math.max(atUs, endTime);
    times.set(id, (times.get(id) ?? 0) + untilUs - atUs);
  }
  return times;
}

const nameOf = ({ functionName }: CallFrame): string => (functionName === '' ? '(anonymous)' : functionName);

function placeOf({ url, lineNumber }: CallFrame, root: string): string {
  if (url === '') return '';
  const file = url.startsWith('file:') ? path.relative(root, fileURLToPath(url)) : url;
  return lineNumber < 0 ? file : `${file}:${lineNumber + 1}`;
}
