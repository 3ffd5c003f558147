// What all commands that talk to the admin HTTP share: address and token, answers that are refusals, and the one line about them.

import { readFile } from 'node:fs/promises';
import { errorText } from './admin-answers.ts';
import {
  AdminClient,
  type AdminReply,
  AdminUnreachable,
  DEFAULT_ADMIN,
  NoAdminAddress,
} from './admin-client.ts';
import { EXIT, type ExitCode } from './command-table.ts';
import { type CliIo, printable } from './terminal.ts';

/** Something to tell the user as one line; the command ends with 1. */
export class CommandFailed extends Error {}

/** Runs a command with a client of the admin HTTP; what goes wrong with it becomes one line and an exit code. */
export async function withAdmin(
  address: string | null,
  tokenFile: string | null,
  io: CliIo,
  use: (client: AdminClient) => Promise<ExitCode>,
): Promise<ExitCode> {
  let client: AdminClient | null = null;
  try {
    const token = tokenFile === null ? (io.env['PORTICO_ADMIN_TOKEN'] ?? null) : await readToken(tokenFile);
    client = new AdminClient({
      address: address ?? (io.env['PORTICO_ADMIN'] || DEFAULT_ADMIN),
      token: token === '' ? null : token,
    });
    return await use(client);
  } catch (error) {
    const isUsage = error instanceof NoAdminAddress;
    if (!(isUsage || error instanceof CommandFailed || error instanceof AdminUnreachable)) throw error;
    io.stderr(`portico: ${printable(error.message)}\n`);
    return isUsage ? EXIT.usage : EXIT.failed;
  } finally {
    await client?.close();
  }
}

async function readToken(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandFailed(`the token file cannot be read: ${reason}`, { cause: error });
  }
}

/** The answer when it is a good one, otherwise `CommandFailed` with what Portico said. */
export function expectAnswer<T>(reply: AdminReply, isAnswer: (value: unknown) => value is T): T {
  if (reply.status === 200 && isAnswer(reply.value)) return reply.value;
  throw new CommandFailed(refusal(reply));
}

/** What Portico said instead of doing it. */
export function refusal(reply: AdminReply): string {
  return errorText(reply.value) ?? `what answers there (status ${reply.status}) is not Portico's admin HTTP`;
}

/** `?name=value&...` of what is given, or nothing. */
export function queryText(
  values: Readonly<Record<string, string | null>>,
  headers: readonly string[] = [],
): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== null) query.append(name, value);
  for (const header of headers) query.append('header', header);
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
