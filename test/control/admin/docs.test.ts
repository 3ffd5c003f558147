import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { ADMIN_ROUTES } from '../../../src/control/admin/admin-routes.ts';

const read = (path: string): Promise<string> =>
  readFile(new URL(`../../../${path}`, import.meta.url), 'utf8');

it('docs/admin-api.md lists exactly the calls there are', async () => {
  const rows = [...(await read('docs/admin-api.md')).matchAll(/^\| `((?:GET|POST) \/\w*)` \|/gm)];
  assert.deepEqual(
    rows.map((row) => row[1]),
    ['GET /', ...ADMIN_ROUTES.map(({ method, path }) => `${method} ${path}`)],
  );
});

it('docs/admin-api.md lists exactly the error codes there are', async () => {
  const page = await read('docs/admin-api.md');
  const errors = page.slice(page.indexOf('## Errors'), page.indexOf('## Who may call'));
  const documented = [...errors.matchAll(/^\| (`[^|]+) \|/gm)].flatMap((row) =>
    [...row[1]!.matchAll(/`([a-z-]+)`/g)].map((code) => code[1]!),
  );
  const sources = await Promise.all(
    ['admin-routes', 'admin-server', 'guard'].map((name) => read(`src/control/admin/${name}.ts`)),
  );
  const used = new Set<string>(['bad-query', 'foreign-host', 'foreign-origin']);
  for (const source of sources) {
    for (const match of source.matchAll(/errorAnswer\(\s*\d+,\s*'([a-z-]+)'/g)) used.add(match[1]!);
  }
  assert.deepEqual(documented.sort(), [...used].sort());
});
