// Runs the real kubectl (and Portico's own commands) and keeps a transcript of what was typed and printed.

import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import process from 'node:process';
import { stringify } from 'yaml';

const COMMAND_LIMIT_MS = 20_000;

export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** Sent to standard input, and shown in the transcript as a here-document. */
  readonly input?: string;
  /** Leaves the command out of the transcript: housekeeping that tells a reader nothing. */
  readonly quiet?: boolean;
  /** Shown in place of what it printed, for secrets and for answers of many pages. */
  readonly hideOutput?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** What a reader of docs/cluster-run.md sees: headings, sentences, commands with their output, in order. */
export class Transcript {
  readonly #parts: string[] = [];
  readonly #replacements: [RegExp, string][] = [];

  /** Writes `short` wherever `text` occurs: directories and ports of one run mean nothing in the next. */
  shorten(text: string | RegExp, short: string): void {
    this.#replacements.push([typeof text === 'string' ? new RegExp(RegExp.escape(text), 'g') : text, short]);
  }

  heading(text: string): void {
    this.#parts.push(`## ${text}`);
  }

  sentence(text: string): void {
    this.#parts.push(this.#clean(text));
  }

  command(line: string, options: RunOptions, result: CommandResult): void {
    const input = options.input === undefined ? '' : ` <<'EOF'\n${options.input.trimEnd()}\nEOF`;
    const printed = options.hideOutput ?? `${result.stdout}${result.stderr}`.trimEnd();
    const status = result.code === 0 ? '' : `\n(exit code ${result.code})`;
    const output = printed === '' ? '' : `\n${printed}`;
    this.#parts.push(this.#clean(`\`\`\`console\n$ ${line}${input}${output}${status}\n\`\`\``));
  }

  async write(file: string, title: string): Promise<void> {
    await writeFile(file, `# ${title}\n\n${this.#parts.join('\n\n')}\n`);
  }

  #clean(text: string): string {
    return this.#replacements.reduce((result, [from, to]) => result.replace(from, to), text);
  }
}

/**
 * Runs a command to its end, and into the transcript unless told otherwise; never throws for its exit code.
 * @param shown what a person would type in its place
 */
export async function runCommand(
  transcript: Transcript,
  command: string,
  parameters: readonly string[],
  shown: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  const result = await collect(command, parameters, options);
  if (options.quiet !== true) {
    transcript.command(shown.map(quote).join(' '), options, result);
  }
  return result;
}

export class Kubectl {
  readonly #program: string;
  readonly #kubeconfig: string;
  readonly #transcript: Transcript;
  readonly #cache: string;

  /** @param cache a directory of its own, so that the user's kubectl cache has no say */
  constructor(program: string, kubeconfig: string, transcript: Transcript, cache: string) {
    this.#program = program;
    this.#kubeconfig = kubeconfig;
    this.#transcript = transcript;
    this.#cache = cache;
  }

  get program(): string {
    return this.#program;
  }

  /** For processes that run kubectl themselves. */
  get environment(): Readonly<Record<string, string>> {
    return { KUBECONFIG: this.#kubeconfig, KUBECACHEDIR: this.#cache, KUBECTL_KUBERC: 'false' };
  }

  /** Runs to the end and returns standard output; throws with what it printed when it fails. */
  async run(parameters: readonly string[], options: RunOptions = {}): Promise<string> {
    const result = await runCommand(this.#transcript, this.#program, parameters, ['kubectl', ...parameters], {
      ...options,
      environment: this.environment,
    });
    if (result.code !== 0) {
      throw new Error(
        `kubectl ${parameters.join(' ')}: exit code ${result.code}: ${result.stderr || result.stdout}`,
      );
    }
    return result.stdout;
  }

  /** `kubectl apply -f -` for the objects. */
  async apply(objects: readonly object[], options: RunOptions = {}): Promise<string> {
    return await this.run(['apply', '-f', '-'], { ...options, input: toDocuments(objects) });
  }

  /** `kubectl get … -o json`, parsed; left out of the transcript. */
  async read<T>(...parameters: readonly string[]): Promise<T> {
    return JSON.parse(await this.run(['get', ...parameters, '-o', 'json'], { quiet: true })) as T;
  }
}

/** The objects as documents of one YAML stream, as a person would write them; kubectl reads YAML 1.1. */
export function toDocuments(objects: readonly object[]): string {
  return objects.map((object) => stringify(object, { lineWidth: 0, version: '1.1' })).join('---\n');
}

async function collect(
  command: string,
  parameters: readonly string[],
  options: RunOptions,
): Promise<CommandResult> {
  const child = spawn(command, parameters, {
    env: { ...process.env, ...options.environment },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: COMMAND_LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that ends without reading its input (a usage error) breaks the pipe: its exit code tells.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      resolve({
        code,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString(),
      }),
    );
  });
}

/** As a person would type it in a shell. */
function quote(parameter: string): string {
  return /^[\w@%+=:,./-]+$/.test(parameter) ? parameter : `'${parameter.replaceAll("'", "'\\''")}'`;
}
