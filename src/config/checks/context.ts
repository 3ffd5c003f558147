// What every check between parts is handed, and how it reports.

import type { Config } from '../../model/config.ts';
import type { Finding, Path } from '../problem.ts';
import type { Places } from '../validate.ts';

export interface CheckContext {
  /** Without the parts that the schema refused. */
  readonly config: Config;
  readonly places: Places;
  /** Every name in the file, those of refused parts too: a reference to one of them is not a second problem. */
  readonly names: Readonly<Record<'clusters' | 'listeners' | 'pools', readonly string[]>>;
  /** Whether the file names listeners at all, faulty or not. */
  readonly hasListeners: boolean;
  /** Whether a value stands in the file itself, and is no default. */
  readonly isWritten: (path: Path) => boolean;
  readonly problem: Report;
  readonly warning: Report;
}

export type Report = (path: Path, code: string, message: string, fix: string, at?: Finding['at']) => void;
