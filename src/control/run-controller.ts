// The controller's process: hands the controller its clock, environment and channel to the supervisor, and ends with it.

import type { SupervisorToController } from '../model/messages.ts';
import { Controller, type ControllerOptions } from './controller.ts';
import { createSystemClock } from './discovery/clock.ts';
import { handedOver } from './handover.ts';

/** What the command line decides of a controller. */
export type RunControllerOptions = Pick<
  ControllerOptions,
  'configPath' | 'log' | 'lines' | 'version' | 'setLogLevel'
>;

/** Runs the controller in this process; the supervisor is at the other end of the IPC channel. */
export function runController(options: RunControllerOptions): void {
  const { log, lines } = options;
  let controller: Controller | null = null;
  const leave = async (code: number): Promise<void> => {
    await controller?.close();
    // Everything that was sent must have left before the channel is closed.
    if (process.connected) process.disconnect?.();
    await lines.close();
    process.exit(code);
  };
  process.on('message', (raw) => {
    const message = raw as SupervisorToController;
    if (message.kind !== 'start' || controller !== null) {
      controller?.onMessage(message);
      return;
    }
    const left = handedOver(message);
    controller = new Controller(
      {
        ...options,
        environment: process.env,
        nodeVersion: process.version,
        clock: createSystemClock(),
        monotonic: () => performance.now(),
        random: Math.random,
        send: (reply) => {
          // A supervisor that is going may close the channel in the middle: 'disconnect' tells of it.
          if (process.connected) process.send?.(reply, undefined, undefined, () => {});
        },
      },
      message.version,
      left,
    );
    controller.start(left.configuration).catch((error: unknown) => {
      log.fatal({ code: 'internal', error }, 'controller failed to start');
      void lines.close().then(() => process.exit(1));
    });
  });
  // The supervisor decides; a signal to the whole group must not end the controller before the workers.
  // Node would answer SIGUSR1 by opening a debugger.
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});
  process.on('SIGTERM', () => void leave(0));
  process.on('disconnect', () => void leave(0));
  process.on('uncaughtException', (error) => {
    log.fatal({ code: 'internal', error }, 'controller failed');
    void lines.close().then(() => process.exit(1));
  });
}
