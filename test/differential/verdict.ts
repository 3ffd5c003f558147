// Turns what was seen on both sides into one line that can be compared and kept.

import type { Recorded } from './backend.ts';
import { fieldsNamed, type Message, messageAt } from './messages.ts';
import type { Conversation } from './talk.ts';

/** Every proxy adds some of these, or makes them anew; what is said about framing is told by itself. */
const EXPECTED =
  /^(?:host|connection|content-length|transfer-encoding|via|x-request-id|x-forwarded-(?:for|proto|host)):/i;
const LONG = 80;

function short(text: string): string {
  // Long runs of one letter say no more than their length.
  const runs = text.replace(/(.)\1{39,}/g, (run) => `${run[0]}*${run.length}`);
  const clipped = runs.length > LONG ? `${runs.slice(0, LONG)}...` : runs;
  return JSON.stringify(clipped)
    .slice(1, -1)
    .replace(/[\x7f-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
}

const isBodiless =
  (method: string) =>
  (line: string): boolean =>
    method === 'HEAD' || /^HTTP\/1\.[01] (?:1\d\d|204|304)(?: |$)/.test(line);

/** The messages that a client received, in order; `rest` is what follows the last that could be read. */
function answersOf({ received, ended }: Conversation, method: string): { messages: Message[]; rest: string } {
  const messages: Message[] = [];
  let at = 0;
  while (at < received.length) {
    const message = messageAt(received, at, {
      bodiless: isBodiless(method),
      untilClose: true,
      ended: ended === 'end',
    });
    if (message === null) break;
    messages.push(message);
    at = message.end;
  }
  return { messages, rest: received.slice(at) };
}

const statusOf = ({ line }: Message): string => /^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1] ?? short(line);

/** What the client of a request payload saw: statuses, or how the connection ended without any. */
export function clientVerdict(conversation: Conversation): string {
  const { messages } = answersOf(conversation, 'GET');
  if (messages.length > 0) return messages.map(statusOf).join(',');
  if (conversation.received !== '') return `junk ${short(conversation.received)}`;
  return conversation.ended === 'open' ? 'waits' : 'closed';
}

/** What a backend received because of one payload. */
export function backendVerdict(recorded: readonly Recorded[], id: string): string {
  if (recorded.length === 0) return 'nothing';
  return recorded.map(({ message }) => requestVerdict(message).replaceAll(id, 'ID')).join(' + ');
}

function requestVerdict(message: Message): string {
  const parts = [short(message.line.replace(/ HTTP\/1\.1$/, ''))];
  const hosts = fieldsNamed(message, 'host');
  parts.push(`host=${hosts.map(short).join('&')}`);
  const lengths = fieldsNamed(message, 'content-length');
  const codings = fieldsNamed(message, 'transfer-encoding');
  if (lengths.length + codings.length > 1)
    parts.push(`AMBIGUOUS cl=${lengths.join('&')} te=${codings.join('&')}`);
  if (message.framing !== 'none') parts.push(`${message.framing}:${message.body.length}`);
  if (message.trailers !== '') parts.push(`trailers ${short(message.trailers)}`);
  if (!message.complete) parts.push('INCOMPLETE');
  for (const forged of message.fields)
    if (/6\.6\.6\.6|forged/.test(forged)) parts.push(`FORGED ${short(lower(forged))}`);
  const others = message.fields.filter((line) => !EXPECTED.test(line));
  if (others.length > 5) parts.push(`fields(${others.length})`);
  else for (const line of others) parts.push(short(lower(line)));
  return parts.join(' ');
}

/** HAProxy sends names in lower case. */
const lower = (line: string): string => {
  const colon = line.indexOf(':');
  return colon < 0 ? line : line.slice(0, colon).toLowerCase() + line.slice(colon);
};

/** What the client saw of one answer of a backend, and how it ended. */
export function answerVerdict(conversation: Conversation, method: string): string {
  const { messages, rest } = answersOf(conversation, method);
  const parts = messages.map((message) => {
    const status = statusOf(message);
    if (/^5/.test(status)) return status;
    const hop = message.fields
      .filter((line) =>
        /^(?:x-odd|keep-alive|proxy-status|x-t|link|set-cookie|x-request-id: *forged)/i.test(line),
      )
      .map((line) => ` ${lower(line)}`)
      .join('');
    const body = message.body === '' ? '' : ` "${short(message.body)}"`;
    const trailers = message.trailers === '' ? '' : ` trailers ${short(message.trailers)}`;
    const end = message.complete ? '' : conversation.ended === 'open' ? ' HANGS' : ' cut';
    return `${status}${hop}${body}${trailers}${end}`;
  });
  if (parts.length > 6) parts.splice(3, parts.length - 4, `...${parts.length - 4} more...`);
  if (rest !== '') parts.push(`junk ${short(rest)}`);
  if (parts.length > 0) return parts.join(', ');
  return conversation.ended === 'open' ? 'waits' : 'closed';
}
