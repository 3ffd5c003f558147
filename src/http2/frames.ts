// Frame types, flags, settings and sizes (RFC 9113, sections 4 and 6).

export const FrameType = {
  Data: 0,
  Headers: 1,
  Priority: 2,
  RstStream: 3,
  Settings: 4,
  PushPromise: 5,
  Ping: 6,
  Goaway: 7,
  WindowUpdate: 8,
  Continuation: 9,
  /** RFC 9218, section 7: ignored as PRIORITY is, and bounded with it. */
  PriorityUpdate: 16,
} as const;

export const Flag = { Ack: 1, EndStream: 1, EndHeaders: 4, Padded: 8, Priority: 32 } as const;

export const Setting = {
  HeaderTableSize: 1,
  EnablePush: 2,
  MaxConcurrentStreams: 3,
  InitialWindowSize: 4,
  MaxFrameSize: 5,
  MaxHeaderListSize: 6,
  EnableConnectProtocol: 8,
  NoRfc7540Priorities: 9,
} as const;

export const HEADER_BYTES = 9;
/** The largest frame that we take, and make: SETTINGS_MAX_FRAME_SIZE is left at its first value. */
export const MAX_FRAME_BYTES = 16384;
export const MAX_WINDOW = 0x7fffffff;
export const FIRST_WINDOW = 65535;
export const MAX_STREAM_ID = 0x7fffffff;
