// The publication in force: the sockets that are bound for it, and its texts for workers to come.

import type { BoundAddress, ListenAddress, Publication } from '../model/messages.ts';
import { type BoundHandle, boundPort, type SlotSockets, Sockets } from './sockets.ts';

export class PublicationInForce {
  readonly #sockets = new Sockets();
  #current: Publication | null = null;
  #texts: Publication[] = [];
  #handles: SlotSockets = new Map();

  /** 0 while there is none. */
  get version(): number {
    return this.#current?.version ?? 0;
  }

  get isNone(): boolean {
    return this.#current === null;
  }

  get listeners(): readonly ListenAddress[] {
    return this.#current?.listeners ?? [];
  }

  /** What a worker has to read to be where the others are: a whole text, and the differences since. */
  get texts(): readonly Publication[] {
    return this.#texts;
  }

  /** What each listener is bound to. */
  get addresses(): readonly BoundAddress[] {
    return this.listeners.map(({ name, host }) => ({
      name,
      host,
      port: boundPort(this.#handles.get(name)![0]!),
    }));
  }

  handle(listener: string, slot: number): BoundHandle | undefined {
    return this.#handles.get(listener)?.[slot];
  }

  /** It stands for itself, or begins from this one. */
  isFollowedBy({ base }: Publication): boolean {
    return base === null || base === this.#current?.version;
  }

  /**
   * Binds what `publication` names, for slots 0 to `slots` - 1, and puts it in force. Throws BindError, having changed
   * nothing.
   * @returns the addresses that were not listened on before
   */
  take(publication: Publication, slots: number): readonly BoundAddress[] {
    const before = this.listeners;
    this.#handles = this.#sockets.bind(publication.listeners, slots);
    this.#current = publication;
    if (publication.base === null) this.#texts = [];
    this.#texts.push(publication);
    return this.addresses.filter((_, index) => {
      const { name, host, port } = publication.listeners[index]!;
      return !before.some((known) => known.name === name && known.host === host && known.port === port);
    });
  }

  /** Sockets for another number of slots. Throws BindError, having changed nothing. */
  resize(slots: number): void {
    this.#handles = this.#sockets.bind(this.listeners, slots);
  }

  /** Closes the sockets that neither the publication nor a slot needs any more. */
  closeOthers(slots: number): void {
    this.#sockets.closeOthers(this.listeners, slots);
  }

  /** Takes the version in force as one text, in the place of those that were gathered. */
  keep(publication: Publication): void {
    if (publication.version === this.#current?.version) this.#texts = [publication];
  }

  /** Closes every socket. */
  close(): void {
    this.#sockets.close();
  }
}
