// A certificate authority for tests, run by openssl in a directory that is removed again: issues, revokes, and answers OCSP.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { CertificatePair } from './certificates.ts';

const run = promisify(execFile);

export interface Issue {
  /** DNS names and `IP:` addresses. */
  readonly names?: readonly string[];
  /** As openssl writes it. Default `/CN=portico test`. */
  readonly subject?: string;
  /** Default `ec`. */
  readonly key?: 'ec' | 'rsa';
  /** Default 1. */
  readonly days?: number;
  /** Valid for a day, which is long over. */
  readonly expired?: boolean;
  /** Lines of openssl's x509v3_config for the certificate. */
  readonly extensions?: readonly string[];
}

export interface Issued extends CertificatePair {
  readonly certPath: string;
  readonly keyPath: string;
}

const CONFIG = `
[ca]
default_ca = main
[main]
dir = .
database = $dir/index.txt
serial = $dir/serial
new_certs_dir = $dir
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
default_crl_days = 1
policy = anything
unique_subject = no
copy_extensions = copy
string_mask = utf8only
[anything]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = optional
`;

export class Authority {
  readonly directory: string;
  readonly cert: string;
  #count = 0;

  private constructor(directory: string, cert: string) {
    this.directory = directory;
    this.cert = cert;
  }

  static async create(subject = '/CN=portico test authority'): Promise<Authority> {
    const directory = await mkdtemp(path.join(tmpdir(), 'portico-ca-'));
    await writeFile(path.join(directory, 'ca.cnf'), CONFIG);
    await writeFile(path.join(directory, 'index.txt'), '');
    await writeFile(path.join(directory, 'serial'), '1000\n');
    await run(
      'openssl',
      [
        ...[
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-nodes',
          '-days',
          '2',
        ],
        ...['-subj', subject, '-addext', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature'],
        ...['-out', 'ca.pem', '-keyout', 'ca.key'],
      ],
      { cwd: directory },
    );
    return new Authority(directory, await readFile(path.join(directory, 'ca.pem'), 'utf8'));
  }

  async issue({
    names = [],
    subject = '/CN=portico test',
    key = 'ec',
    days = 1,
    expired = false,
    extensions = [],
  }: Issue): Promise<Issued> {
    this.#count += 1;
    const [certPath, keyPath, csr] = ['pem', 'key', 'csr'].map((end) => this.path(`${this.#count}.${end}`));
    const kind = key === 'rsa' ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
    const alternatives = names.map((name) => (name.startsWith('IP:') ? name : `DNS:${name}`)).join();
    await this.#openssl(
      ...[
        'req',
        '-new',
        '-utf8',
        '-newkey',
        ...kind,
        '-nodes',
        '-subj',
        subject,
        '-keyout',
        keyPath!,
        '-out',
        csr!,
      ],
      ...(names.length === 0 ? [] : ['-addext', `subjectAltName=${alternatives}`]),
    );
    const extfile = this.path(`${this.#count}.ext`);
    await writeFile(extfile, `[leaf]\n${extensions.join('\n')}\n`);
    await this.#openssl(
      ...['ca', '-batch', '-utf8', '-config', 'ca.cnf', '-in', csr!, '-out', certPath!, '-notext'],
      ...(expired
        ? ['-startdate', '20200101000000Z', '-enddate', '20200102000000Z']
        : ['-days', String(days)]),
      ...(extensions.length === 0 ? [] : ['-extfile', extfile, '-extensions', 'leaf']),
    );
    return {
      cert: await readFile(certPath!, 'utf8'),
      key: await readFile(keyPath!, 'utf8'),
      certPath: certPath!,
      keyPath: keyPath!,
    };
  }

  async revoke({ certPath }: Issued): Promise<void> {
    await this.#openssl('ca', '-batch', '-config', 'ca.cnf', '-revoke', certPath);
  }

  /** The revocation list as it is now, PEM. */
  async crl(): Promise<string> {
    await this.#openssl('ca', '-batch', '-config', 'ca.cnf', '-gencrl', '-out', 'crl.pem');
    return await readFile(this.path('crl.pem'), 'utf8');
  }

  /** The OCSP response about a certificate, DER. @param validity openssl's options for when the next one is to be had */
  async ocsp({ certPath }: Issued, validity: readonly string[] = ['-ndays', '1']): Promise<Buffer> {
    await this.#openssl('ocsp', '-issuer', 'ca.pem', '-cert', certPath, '-reqout', 'ocsp.req', '-no_nonce');
    await this.#openssl(
      ...['ocsp', '-index', 'index.txt', '-CA', 'ca.pem', '-rsigner', 'ca.pem', '-rkey', 'ca.key'],
      ...['-reqin', 'ocsp.req', '-respout', 'ocsp.der', ...validity],
    );
    return await readFile(this.path('ocsp.der'));
  }

  path(name: string): string {
    return path.join(this.directory, name);
  }

  async close(): Promise<void> {
    await rm(this.directory, { recursive: true });
  }

  async #openssl(...parameters: string[]): Promise<void> {
    await run('openssl', parameters, { cwd: this.directory });
  }
}
