// What an answer of `npm audit` means here: known high advisories, those that are allowed with a reason, and no answer.

/** Least severity that counts; moderate ones are printed only. */
const COUNTING: ReadonlySet<string> = new Set(['high', 'critical']);

/** An exception in test/audit/allowed.json. */
export interface Allowed {
  readonly package: string;
  /** Why the advisory does no harm here, for people. */
  readonly reason: string;
  /** `development`: allowed only as long as production does not install the package. */
  readonly scope: 'development' | 'production';
}

export interface Advisory {
  readonly package: string;
  readonly severity: string;
  readonly title: string;
  readonly url: string;
}

export type Verdict =
  /** The registry gave no report: nothing is known, which is not the same as nothing found. */
  | { readonly kind: 'not-asked'; readonly why: string }
  | { readonly kind: 'judged'; readonly problems: readonly string[]; readonly notes: readonly string[] };

/**
 * @param text standard output of `npm audit --json`
 * @param development packages that only development installs
 */
export function judge(text: string, allowed: readonly Allowed[], development: ReadonlySet<string>): Verdict {
  const report = parse(text);
  if (report === null) return { kind: 'not-asked', why: 'the answer is not JSON' };
  if (report.vulnerabilities === undefined) {
    return {
      kind: 'not-asked',
      why: report.message ?? report.error?.summary ?? 'the answer is not a report',
    };
  }
  const problems: string[] = [];
  const notes: string[] = [];
  const used = new Set<Allowed>();
  for (const advisory of advisoriesOf(report.vulnerabilities)) {
    const said = `${advisory.package}: ${advisory.title} (${advisory.severity}, ${advisory.url})`;
    const exception = allowed.find((entry) => entry.package === advisory.package);
    if (!COUNTING.has(advisory.severity)) notes.push(said);
    else if (exception === undefined) problems.push(said);
    else {
      used.add(exception);
      if (exception.scope === 'development' && !development.has(advisory.package)) {
        problems.push(`${said}: allowed for development only, and production installs it`);
      } else notes.push(`${said}: allowed, ${exception.reason}`);
    }
  }
  for (const entry of allowed) {
    if (!used.has(entry)) problems.push(`${entry.package} is allowed and has no high advisory any more`);
  }
  return { kind: 'judged', problems, notes };
}

interface AuditReport {
  readonly vulnerabilities?: Readonly<Record<string, { readonly via: readonly (string | Via)[] }>>;
  readonly message?: string;
  readonly error?: { readonly summary?: string };
}

/** An advisory of the package itself; a name instead says that another package brings it. */
interface Via {
  readonly name: string;
  readonly severity: string;
  readonly title: string;
  readonly url: string;
}

function parse(text: string): AuditReport | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as AuditReport) : null;
  } catch {
    return null;
  }
}

function advisoriesOf(vulnerabilities: NonNullable<AuditReport['vulnerabilities']>): readonly Advisory[] {
  const found = new Map<string, Advisory>();
  for (const { via } of Object.values(vulnerabilities)) {
    for (const entry of via) {
      if (typeof entry === 'string') continue;
      const { name, severity, title, url } = entry;
      found.set(`${name} ${url}`, { package: name, severity, title, url });
    }
  }
  return [...found.values()];
}

/** Packages of a package-lock.json (version 3) that only development installs. */
export function developmentOf(lock: {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean }>>;
}): ReadonlySet<string> {
  const prefix = 'node_modules/';
  const installed = Object.entries(lock.packages).filter(([place]) => place.includes(prefix));
  const nameOf = (place: string): string => place.slice(place.lastIndexOf(prefix) + prefix.length);
  const production = new Set(installed.filter(([, { dev }]) => dev !== true).map(([place]) => nameOf(place)));
  return new Set(installed.map(([place]) => nameOf(place)).filter((name) => !production.has(name)));
}
