// A process that logs what is not ASCII, says the same in plain words, and ends.

import { createLogger } from '../../src/telemetry/logger.ts';
import { createProcessLog } from '../../src/telemetry/process-log.ts';

const [text = ''] = process.argv.slice(2).map((argument) => JSON.parse(argument) as string);
const lines = createProcessLog();
const log = createLogger({ level: 'info', role: 'worker', pid: 1, destination: lines.destination });
log.warn({ code: 'told', text }, text);
lines.report(`${text}\n`);
await lines.close();
