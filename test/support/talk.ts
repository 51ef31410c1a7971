// Network clients and servers of tests: bash's own /dev/tcp and /dev/udp, which are there wherever bash is, in the host,
// at the remote and in containers.
import { expect } from 'vitest';
import type { Executed } from './execute.ts';
import { SERVE_FILE } from './specs.ts';
import type { Place } from './test-host.ts';

/** Runs argv somewhere: in the host, at the remote, in a container by `runspec exec`. */
export type Run = (argv: readonly string[]) => Promise<Executed>;

export interface Question {
  readonly protocol?: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
  /** One line. */
  readonly text?: string;
  /** How long to wait for the answer; silence is no answer. */
  readonly seconds?: number;
}

// head takes a datagram as one; bash's read would take its first byte and lose the rest.
const ASK = `
  exec 3<>"/dev/$1/$2/$3" || exit 1
  printf '%s\\n' "$4" >&3
  line=$(head -n 1 <&3)
  printf '%s' "$line"
  [ -n "$line" ]`;

/** The line that comes back; undefined when nobody answers. */
export async function ask(run: Run, question: Question): Promise<string | undefined> {
  const { protocol = 'tcp', address, port, text = 'hello', seconds = 5 } = question;
  // A packet that is dropped would keep connect(2) waiting for minutes.
  const shell = ['timeout', String(seconds), 'bash', '-c', ASK, 'bash'];
  const { status, stdout } = await run([...shell, protocol, address, String(port), text]);
  return status === 0 ? stdout : undefined;
}

const GET = `exec 3<>"/dev/tcp/$1/$2" && printf 'GET %s HTTP/1.0\\r\\nHost: %s\\r\\n\\r\\n' "$3" "$1" >&3 && cat <&3`;

/** Status line and body of a page; undefined when nobody answers. */
export async function getPage(
  run: Run,
  address: string,
  port: number,
  path = '/',
): Promise<{ readonly status: string; readonly body: string } | undefined> {
  const { status, stdout } = await run([
    'timeout',
    '10',
    'bash',
    '-c',
    GET,
    'bash',
    address,
    String(port),
    path,
  ]);
  const [head = '', ...body] = stdout.split('\r\n\r\n');
  return status === 0 ? { status: head.split('\r\n')[0] ?? '', body: body.join('\r\n\r\n') } : undefined;
}

/** Starts test/fixtures/serve.pl somewhere. @returns what ends it. */
export async function startServer(
  place: Place,
  name: string,
  ...ports: readonly string[]
): Promise<() => Promise<void>> {
  const server = await place.start(['perl', SERVE_FILE, name, ...ports]);
  await expect.poll(server.written, { timeout: 10_000, interval: 20 }).toContain('ready');
  return async () => {
    server.kill('SIGTERM');
    await server.ended;
  };
}
