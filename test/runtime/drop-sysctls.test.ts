import { expect, it } from 'vitest';
import type { CommandResult, Host } from '../../src/host/host.ts';
import { dropSysctls } from '../../src/runtime/drop-sysctls.ts';

/** A machine whose programs answer by what they are called with; @returns what was written. */
async function drop(
  names: readonly string[],
  answer: (argv: readonly string[]) => Partial<CommandResult>,
): Promise<readonly string[]> {
  const written: string[] = [];
  const run: Host['run'] = async (argv, options) => {
    const result = { argv, status: 0, stdout: '', stderr: '', ...answer(argv) };
    if (argv.includes('tee')) written.push(`${argv.at(-1)} ${String(options?.stdin)}`);
    return result;
  };
  await dropSysctls({ run } as Host, '/run/netns/runspec-web', names);
  return written;
}

const FRESH =
  '/proc/sys/net/core/somaxconn:4096\n/proc/sys/net/ipv4/conf/default/rp_filter:0\n/proc/sys/net/ipv4/ip_local_port_range:32768\t60999\n';

it('sets names back to what a new namespace has, those of an interface to the default of all', async () => {
  const names = [
    'net.core.somaxconn',
    'net.ipv4.conf.eth0.rp_filter',
    'net.ipv4.ip_local_port_range',
    'net.no.such',
  ];
  const written = await drop(names, (argv) => (argv[0] === 'unshare' ? { status: 2, stdout: FRESH } : {}));
  expect(written).toEqual([
    '/proc/sys/net/core/somaxconn 4096',
    '/proc/sys/net/ipv4/conf/eth0/rp_filter 0',
    '/proc/sys/net/ipv4/ip_local_port_range 32768\t60999',
  ]);
});

it('fails when no new namespace can be looked at', async () => {
  const refused = drop(['net.core.somaxconn'], () => ({
    status: 1,
    stderr: 'unshare: unshare failed: Operation not permitted',
  }));
  await expect(refused).rejects.toThrow('cannot see the sysctls of a new network namespace');
});

it('fails when the kernel refuses a value, and not when the interface has gone', async () => {
  const answer = (isThere: boolean) => (argv: readonly string[]) =>
    argv[0] === 'unshare'
      ? { stdout: FRESH }
      : { status: argv.includes('tee') || !isThere ? 1 : 0, stderr: 'tee: no' };
  await expect(drop(['net.core.somaxconn'], answer(true))).rejects.toThrow(
    'cannot set net.core.somaxconn back to 4096',
  );
  await expect(drop(['net.ipv4.conf.eth0.rp_filter'], answer(false))).resolves.toHaveLength(1);
});
