// Every input that was ever kept is judged again, and the fuzzer itself is shown to find what it should.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { CORPUS, type Entry, FOUND, loadEntries } from './corpus.ts';
import { Coverage } from './coverage.ts';
import { FIRST_BYTES } from './first-bytes.ts';
import { Fuzzer } from './fuzzer.ts';
import { IndependentReader } from './llhttp.ts';
import { judge } from './oracles.ts';

const corpus = loadEntries(CORPUS);
const found = loadEntries(FOUND);
const SEED = 1;

describe('inputs kept by the fuzzer', () => {
  let reader: IndependentReader;
  before(() => {
    reader = new IndependentReader();
  });
  after(() => reader.close());

  async function replay({ kind, bytes }: Entry): Promise<void> {
    for (const cuts of [[bytes.length >> 1], [], [bytes.length]]) {
      const { requests, responses } = judge(kind, bytes, cuts);
      for (const request of requests) await reader.checkRequest(request);
      for (const response of responses) await reader.checkResponse(response);
    }
  }

  it(`hold for the whole corpus, read by llhttp too`, async () => {
    assert.ok(corpus.length > 50, `${corpus.length} inputs`);
    for (const entry of corpus) {
      await replay(entry).catch((error: unknown) => assert.fail(`${entry.name}: ${String(error)}`));
    }
  });

  for (const entry of found) it(`${entry.name} stays mended`, () => replay(entry));
});

describe('the first bytes', () => {
  it('are told apart alike at every prefix, whatever they are, and each kind of refusal is found', async () => {
    const coverage = new Coverage((url) =>
      /\/src\/(?:proxy-protocol\/read-|proxy\/tls\/client-hello)/.test(url),
    );
    const entries = FIRST_BYTES.map((bytes, at): Entry => ({ kind: 'first-bytes', name: `${at}`, bytes }));
    const fuzzer = new Fuzzer({ seed: SEED, coverage, entries });
    try {
      await fuzzer.run({ mayGoOn: (executions) => executions < 3000 });
    } finally {
      fuzzer.close();
      coverage.close();
    }
    assert.deepEqual(
      fuzzer.findings.map(({ bytes, error }) => `${bytes.toString('hex')} ${error.message}`),
      [],
    );
    const kept = fuzzer.kept.map(({ verdict }) => verdict!.outcome.failure);
    for (const refusal of ['malformed', 'oversize', 'checksum']) {
      assert.ok(
        kept.some((is) => is.startsWith(refusal)),
        `${refusal} among ${kept.join('; ')}`,
      );
    }
  });
});

describe('the fuzzer', () => {
  const started = (url: string): boolean => url.includes('/src/http1/');

  it('reaches a chunked body from plain requests, and shrinks a fault planted there', async () => {
    const coverage = new Coverage(started);
    const entries = corpus.filter(
      ({ name }) => name === 'request-get.http' || name === 'request-length.http',
    );
    const fuzzer = new Fuzzer({
      seed: SEED,
      coverage,
      entries,
      judge: (kind, bytes, cuts) => {
        const verdict = judge(kind, bytes, cuts);
        const bad = verdict.requests.some(
          ({ body, text }) => body !== '' && text.includes('chunked\r\n\r\n'),
        );
        assert.ok(!bad, 'the planted fault');
        return verdict;
      },
    });
    try {
      await fuzzer.run({ mayGoOn: (executions) => executions < 60_000 && fuzzer.findings.length === 0 });
    } finally {
      fuzzer.close();
      coverage.close();
    }
    assert.equal(fuzzer.findings.length, 1, `${fuzzer.executions} executions`);
    const [finding] = fuzzer.findings;
    assert.equal(finding!.error.message, 'the planted fault');
    assert.ok(finding!.bytes.length < 100, finding!.bytes.toString('latin1'));
  });

  it('takes a head that is sent on with two framings for a finding', async () => {
    const coverage = new Coverage(started);
    const entries = corpus.filter(({ name }) => name === 'request-length.http');
    const fuzzer = new Fuzzer({
      seed: SEED,
      coverage,
      entries,
      judge: (kind, bytes, cuts) => {
        const verdict = judge(kind, bytes, cuts);
        for (const request of verdict.requests) {
          request.text = request.text.replace(
            'Content-Length: 3\r\n',
            'Content-Length: 3\r\nContent-Length: 4\r\n',
          );
        }
        return verdict;
      },
    });
    try {
      await fuzzer.run({ mayGoOn: () => false });
    } finally {
      fuzzer.close();
      coverage.close();
    }
    assert.match(fuzzer.findings[0]?.error.message ?? '', /^llhttp refuses what is sent upstream/);
  });
});
