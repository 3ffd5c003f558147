// Starts the front before the API server, and tells it how to behave.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FrontMode, FrontOrder, FrontReport } from './api-front.ts';

const PROGRAM = fileURLToPath(new URL('api-front.ts', import.meta.url));

export class ApiFront {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the front before the API server ended with ${code}`);
    });
    // Its end is a failure only for someone who waits for an answer.
    this.#ended.catch(() => {});
  }

  /**
   * @param server URL of the API server
   * @param directory the control plane's, with its certificate
   * @param port on loopback
   * @param missing the service that some lists leave out
   */
  static async start(server: string, directory: string, port: number, missing: string): Promise<ApiFront> {
    const { hostname, port: serverPort } = new URL(server);
    const words = [directory, hostname, serverPort, String(port), missing];
    const front = new ApiFront(fork(PROGRAM, words, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }));
    await front.#answer();
    return front;
  }

  /** It begins to behave otherwise; everything that is open through it is cut. */
  async set(mode: FrontMode): Promise<void> {
    await this.#order({ mode });
  }

  /** It presents this certificate from now on, to everyone: what is open is cut. */
  async present(certificate: NonNullable<FrontOrder['certificate']>): Promise<void> {
    await this.#order({ mode: 'pass', certificate });
  }

  /** What it has seen since it was last told or asked something. */
  async seen(): Promise<FrontReport> {
    return await this.#order({});
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }

  async #order(order: FrontOrder): Promise<FrontReport> {
    const answer = this.#answer();
    this.#child.send(order);
    return await answer;
  }

  async #answer(): Promise<FrontReport> {
    const [report] = await Promise.race([once(this.#child, 'message'), this.#ended]);
    return report as FrontReport;
  }
}
