// Command: the same bytes to Portico, nginx and HAProxy, and every difference held against differences.json.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { readOptions } from '../support/command-line.ts';
import { Backend } from './backend.ts';
import { compare, type Differences, fits, type Verdicts } from './compare.ts';
import { ID, ID_LENGTH, PAYLOADS, type Payload } from './payloads.ts';
import { type Front, type FrontName, PROXIES, startProxy } from './proxies.ts';
import { RESPONSES, type ResponseCase } from './responses.ts';
import { talk } from './talk.ts';
import { answerVerdict, backendVerdict, clientVerdict } from './verdict.ts';

const FILE = path.join(import.meta.dirname, 'differences.json');
/** Payloads at a time for one proxy. */
const CONCURRENCY = 24;
/** Nothing more is expected after this long without a byte. */
const QUIET_MS = 500;
/** For a second look, alone, at what was not as expected. */
const PATIENT_MS = 2000;

const USAGE = `Usage: npm run test:differential -- [OPTIONS]

  --only TEXT  only payloads whose name has this in it
  --write      write the differences that were seen into test/differential/differences.json
  -h, --help   print this

nginx and HAProxy, installed as Debian packages where they are missing and this is root. Half a minute.
Exit code 1: a difference that has no reason there.
`;

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

/** Letters and digits, so that the text passes everywhere. */
const idOf = (index: number, round: number): string =>
  `q${round}${String(index).padStart(3, '0')}z`.padEnd(ID_LENGTH, 'z').slice(0, ID_LENGTH);

/** One proxy with its backend. */
class Subject {
  readonly proxy: Front;
  readonly #backend: Backend;
  readonly #answers: Map<string, ResponseCase>;
  #round = 0;

  private constructor(proxy: Front, backend: Backend, answers: Map<string, ResponseCase>) {
    this.proxy = proxy;
    this.#backend = backend;
    this.#answers = answers;
  }

  static async start(name: FrontName): Promise<Subject> {
    const answers = new Map<string, ResponseCase>();
    const backend = new Backend(({ line }) => {
      const id = /\/(q\d{4}z)/.exec(line)?.[1] ?? '';
      return answers.get(id)?.answer ?? { text: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine' };
    });
    return new Subject(await startProxy(name, await backend.listen()), backend, answers);
  }

  async stop(): Promise<void> {
    await this.proxy.stop();
    this.#backend.close();
  }

  async request(payload: Payload, quietMs: number): Promise<string> {
    const id = this.#nextId();
    const { recorded } = this.#backend;
    const conversation = await talk(this.proxy.port, payload.text.replaceAll(ID, id), quietMs);
    // A request that its backend waits for in vain is recorded a little later.
    if (!conversation.received.startsWith('HTTP/1.1 4'))
      await new Promise((resolve) => setTimeout(resolve, 250));
    const mine = recorded.filter(({ raw }) => raw.includes(id));
    for (const one of mine) recorded.splice(recorded.indexOf(one), 1);
    const client = clientVerdict(conversation);
    // Whether a part of a refused request has left before its end was seen is a matter of time, not of reading.
    const counted = client.startsWith('4') ? mine.filter(({ message }) => message.complete) : mine;
    return `${client} | ${backendVerdict(counted, id)}`;
  }

  async answer(one: ResponseCase, quietMs: number): Promise<string> {
    const id = this.#nextId();
    this.#answers.set(id, one);
    const ask = (line: string): string => `${line} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    const first = await talk(this.proxy.port, ask(`${one.method} /${id}`), quietMs);
    const next = await talk(this.proxy.port, ask('GET /next'), quietMs);
    this.#backend.recorded.length = 0;
    return `${answerVerdict(first, one.method)} | next: ${answerVerdict(next, 'GET')}`;
  }

  /** What arrived and belongs to no payload. */
  get strays(): readonly string[] {
    return this.#backend.recorded.map(({ raw }) => raw.slice(0, 200));
  }

  #count = 0;

  #nextId(): string {
    this.#count += 1;
    if (this.#count === 1000) {
      this.#count = 0;
      this.#round += 1;
    }
    return idOf(this.#count, this.#round);
  }
}

async function each<T>(items: readonly T[], width: number, run: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const work = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: width }, work));
}

const { values } = readOptions('test:differential', USAGE, {
  options: { write: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
});
const wanted = <T extends { name: string }>(items: readonly T[]): T[] =>
  items.filter(({ name }) => name.includes(values.only));
const known = JSON.parse(readFileSync(FILE, 'utf8')) as Differences;
const verdicts = new Map<string, Verdicts>();
const set = (name: string, proxy: FrontName, verdict: string): void => {
  const row = verdicts.get(name) ?? { portico: '', nginx: '', haproxy: '' };
  row[proxy] = verdict;
  verdicts.set(name, row);
};

const subjects = await Promise.all(PROXIES.map((name) => Subject.start(name)));
try {
  say(subjects.map(({ proxy }) => proxy.version).join(', '));
  await Promise.all(
    subjects.map(async (subject) => {
      const { name } = subject.proxy;
      await each(wanted(PAYLOADS), CONCURRENCY, async (payload) => {
        set(payload.name, name, await subject.request(payload, QUIET_MS));
      });
      // One at a time: a surplus answer goes to whoever comes next.
      await each(wanted(RESPONSES), 1, async (one) =>
        set(one.name, name, await subject.answer(one, QUIET_MS)),
      );
    }),
  );
  // Time can pass for a difference: what surprises is looked at once more, alone and patiently.
  for (const { name: row } of compare(verdicts, known).surprises) {
    const payload = PAYLOADS.find(({ name }) => name === row);
    const one = RESPONSES.find(({ name }) => name === row);
    for (const subject of subjects) {
      const { name } = subject.proxy;
      if (fits(known.differences[row]?.[name], verdicts.get(row)![name])) continue;
      if (values.write && verdicts.size > 50) continue;
      if (payload !== undefined) set(row, name, await subject.request(payload, PATIENT_MS));
      if (one !== undefined) set(row, name, await subject.answer(one, PATIENT_MS));
    }
  }
  for (const subject of subjects) {
    for (const stray of subject.strays) say(`stray at ${subject.proxy.name}: ${JSON.stringify(stray)}`);
  }
} finally {
  await Promise.all(subjects.map((subject) => subject.stop()));
}

const result = compare(verdicts, known, values.only !== '');
if (values.write) {
  writeFileSync(
    FILE,
    `${JSON.stringify({ reasons: known.reasons, differences: result.differences }, null, 2)}\n`,
  );
}
say(
  `${PAYLOADS.length} requests and ${RESPONSES.length} answers: ${verdicts.size - Object.keys(result.differences).length} alike, ` +
    `${Object.keys(result.differences).length} different, ${result.stricter} where Portico alone refuses, ${result.lenient.length} where it takes what another refuses`,
);
for (const problem of result.problems) say(problem);
say(result.problems.length === 0 ? 'every difference is explained' : `${result.problems.length} problems`);
process.exitCode = result.problems.length === 0 ? 0 : 1;
