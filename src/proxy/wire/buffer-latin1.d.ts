// Buffer methods that Node has and its type package lacks: the direct latin1 conversions.

declare global {
  interface Buffer {
    latin1Slice(start?: number, end?: number): string;
    latin1Write(text: string, offset?: number, length?: number): number;
  }
}

export {};
