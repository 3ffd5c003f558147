// What makes the load, whatever tool does it.

export interface Load {
  readonly url: string;
  /** What every answer must carry. */
  readonly body: string;
  /** Kept open, one request in progress on each. */
  readonly connections: number;
  readonly seconds: number;
}

export interface LoadResult {
  /** Answers that came completely. */
  readonly requests: number;
  readonly seconds: number;
  /** Everything that went wrong, in words; a round with any is no result. */
  readonly problems: readonly string[];
}

export interface Driver {
  readonly name: string;
  run(load: Load): Promise<LoadResult>;
  close(): Promise<void>;
}
