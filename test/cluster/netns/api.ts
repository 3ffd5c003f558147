// The test bed's own hands on the API server, where a kubelet or a node controller would write: no process for each word.

import { readFile } from 'node:fs/promises';
import https from 'node:https';

const ANSWER_LIMIT_MS = 10_000;

export class Api {
  readonly #server: URL;
  readonly #token: string;
  readonly #agent: https.Agent;

  private constructor(server: string, token: string, ca: Buffer) {
    this.#server = new URL(server);
    this.#token = token;
    this.#agent = new https.Agent({ keepAlive: true, ca });
  }

  /** With the credentials of the administrator's kubeconfig. */
  static async open(kubeconfig: string): Promise<Api> {
    const content = JSON.parse(await readFile(kubeconfig, 'utf8')) as {
      clusters: { cluster: { server: string; 'certificate-authority-data': string } }[];
      users: { user: { token: string } }[];
    };
    const { cluster } = content.clusters[0]!;
    const ca = Buffer.from(cluster['certificate-authority-data'], 'base64');
    return new Api(cluster.server, content.users[0]!.user.token, ca);
  }

  async create(path: string, object: object): Promise<void> {
    await this.#send('POST', path, object, 'application/json');
  }

  /** A strategic merge patch, as kubectl sends it. */
  async patch(path: string, patch: object): Promise<void> {
    await this.#send('PATCH', path, patch, 'application/strategic-merge-patch+json');
  }

  /** An object that is gone already is what was asked for. */
  async delete(path: string, gracePeriodSeconds: number): Promise<void> {
    const options = { kind: 'DeleteOptions', apiVersion: 'v1', gracePeriodSeconds };
    await this.#send('DELETE', path, options, 'application/json', [404]);
  }

  close(): void {
    this.#agent.destroy();
  }

  async #send(
    method: string,
    path: string,
    body: object,
    type: string,
    allowed: readonly number[] = [],
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const text = JSON.stringify(body);
    const request = https.request(
      {
        host: this.#server.hostname,
        port: this.#server.port,
        agent: this.#agent,
        method,
        path,
        headers: {
          authorization: `Bearer ${this.#token}`,
          'content-type': type,
          'content-length': Buffer.byteLength(text),
        },
      },
      (response) => {
        let answer = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          answer += chunk;
        });
        response.once('error', reject);
        response.once('end', () => {
          const status = response.statusCode ?? 0;
          if (status < 300 || allowed.includes(status)) resolve();
          else reject(new Error(`${method} ${path}: status ${status}: ${answer.slice(0, 300)}`));
        });
      },
    );
    request.setTimeout(ANSWER_LIMIT_MS, () => request.destroy(new Error(`${method} ${path}: no answer`)));
    request.once('error', reject);
    request.end(text);
    await promise;
  }
}
