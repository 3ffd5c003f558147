// What is written around bodies and heads: chunk framing and status lines.

/** Follows the data of each chunk. */
export const CHUNK_SUFFIX = '\r\n';

const LAST_CHUNK = '0\r\n\r\n';
const CACHED_PREFIXES = 4096;
const PREFIXES: readonly string[] = Array.from({ length: CACHED_PREFIXES }, (_, length) => prefixOf(length));
/** Sizes that reads come in. */
const PREFIX_16K = prefixOf(16384);
const PREFIX_32K = prefixOf(32768);
const PREFIX_64K = prefixOf(65536);

function prefixOf(length: number): string {
  return `${length.toString(16)}\r\n`;
}

/** The size line of a chunk of `length` bytes. @throws RangeError for 0, which would end the body. */
export function chunkPrefix(length: number): string {
  const cached = length > 0 ? PREFIXES[length] : undefined;
  if (cached !== undefined) return cached;
  if (length === 65536) return PREFIX_64K;
  if (length === 32768) return PREFIX_32K;
  if (length === 16384) return PREFIX_16K;
  if (!Number.isSafeInteger(length) || length <= 0) throw new RangeError(`No chunk has ${length} bytes`);
  return prefixOf(length);
}

/** The end of a chunked body; `trailers` are lines with CRLF as a parser gave them, or ''. */
export function lastChunk(trailers: string): string {
  return trailers === '' ? LAST_CHUNK : `0\r\n${trailers}\r\n`;
}

/** Reasons of RFC 9110, section 15, and of the other registered codes. */
const REASONS: Readonly<Record<number, string>> = {
  100: 'Continue',
  101: 'Switching Protocols',
  102: 'Processing',
  103: 'Early Hints',
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  203: 'Non-Authoritative Information',
  204: 'No Content',
  205: 'Reset Content',
  206: 'Partial Content',
  207: 'Multi-Status',
  208: 'Already Reported',
  226: 'IM Used',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Found',
  303: 'See Other',
  304: 'Not Modified',
  305: 'Use Proxy',
  307: 'Temporary Redirect',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  409: 'Conflict',
  410: 'Gone',
  411: 'Length Required',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  414: 'URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Range Not Satisfiable',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  422: 'Unprocessable Content',
  423: 'Locked',
  424: 'Failed Dependency',
  425: 'Too Early',
  426: 'Upgrade Required',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  431: 'Request Header Fields Too Large',
  451: 'Unavailable For Legal Reasons',
  500: 'Internal Server Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
  506: 'Variant Also Negotiates',
  507: 'Insufficient Storage',
  508: 'Loop Detected',
  511: 'Network Authentication Required',
};

const STATUS_LINES: readonly string[] = Array.from(
  { length: 600 },
  (_, status) => `HTTP/1.1 ${status} ${REASONS[status] ?? ''}\r\n`,
);

/** `HTTP/1.1 status reason CRLF` with the registered reason, or an empty one. `status` is 100 to 599. */
export function statusLine(status: number): string {
  return STATUS_LINES[status]!;
}

/** The registered reason of a status, '' when there is none. */
export function reasonOf(status: number): string {
  return REASONS[status] ?? '';
}
