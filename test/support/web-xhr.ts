// As much of XMLHttpRequest as the npm package grpc-web asks for, over `fetch`: text that grows while the answer comes.

export class WebXhr {
  readyState = 0;
  status = 0;
  statusText = '';
  responseText = '';
  responseType = '';
  withCredentials = false;
  timeout = 0;
  onreadystatechange: (() => void) | null = null;
  readonly #abort = new AbortController();
  readonly #fields: Record<string, string> = {};
  #method = '';
  #url = '';
  #answered = new Headers();

  open(method: string, url: string): void {
    this.#method = method;
    this.#url = url;
    this.#become(1);
  }

  setRequestHeader(name: string, value: string): void {
    this.#fields[name] = value;
  }

  getResponseHeader(name: string): string | null {
    return this.#answered.get(name);
  }

  getAllResponseHeaders(): string {
    return [...this.#answered].map(([name, value]) => `${name}: ${value}\r\n`).join('');
  }

  send(body: string): void {
    void this.#run(body).catch(() => {
      this.status = 0;
      this.#become(4);
    });
  }

  abort(): void {
    this.#abort.abort();
  }

  async #run(body: string): Promise<void> {
    const { signal } = this.#abort;
    const answer = await fetch(this.#url, { method: this.#method, headers: this.#fields, body, signal });
    this.status = answer.status;
    this.#answered = answer.headers;
    this.#become(2);
    if (answer.body !== null) {
      for await (const bytes of answer.body) {
        this.responseText += Buffer.from(bytes).toString('latin1');
        this.#become(3);
      }
    }
    this.#become(4);
  }

  #become(state: number): void {
    this.readyState = state;
    this.onreadystatechange?.();
  }
}
