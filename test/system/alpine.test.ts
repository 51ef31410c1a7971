// Scenario A: specs/alpine.yaml, Alpine's minirootfs behind a point-to-point veth pair.
import { describe, expect, it } from 'vitest';
import { find, succeed } from '../support/containers.ts';
import { alpine, requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { copySpec, type PlacedSpec } from '../support/specs.ts';
import { startServer } from '../support/talk.ts';

const archive = requireSystem() ? alpine() : undefined;

describe.skipIf(archive === undefined)('specs/alpine.yaml', () => {
  let spec: PlacedSpec;
  const getHost = shareHost({
    start: async (host) => {
      spec = copySpec(host, 'alpine.yaml');
      await succeed(host, 'image', 'add', archive ?? '');
      // The host has no way to the Internet: what is in the store serves.
      await succeed(host, 'apply', spec.file);
    },
  });
  const inside = async (...argv: readonly string[]): Promise<string> => {
    const { status, stdout, stderr } = await getHost().runspec('exec', spec.name, '--', ...argv);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    return stdout;
  };

  it('has a root of its own', async () => {
    expect(await inside('cat', '/etc/alpine-release')).toBe('3.20.3\n');
    expect(await inside('ls', '/')).not.toContain('work');
  });

  it('has pids of its own, and the process is 1', async () => {
    expect(await inside('sh', '-c', "tr '\\0' ' ' </proc/1/cmdline")).toBe('/bin/sh ');
    const processes = (await inside('ps', '-o', 'pid,args')).trim().split('\n');
    expect(processes.slice(1).map((line) => line.trim())).toEqual([
      '1 /bin/sh',
      expect.stringMatching(/^\d+ ps/),
    ]);
  });

  it('reaches beyond the host through NAT', async () => {
    const { remote, address } = getHost();
    const stop = await startServer(remote, 'beyond', 'tcp:80');
    expect(await inside('wget', '-q', '-O', '-', `http://${remote.beyond}/`)).toBe(`beyond ${address}\n`);
    await stop();
  });

  it('has the addresses and the route of the walkthrough', async () => {
    expect(await inside('ip', 'route')).toBe(
      'default via 192.168.1.1 dev eth0 \n192.168.1.0/24 dev eth0 scope link  src 192.168.1.2 \n',
    );
    expect(await getHost().output(['ip', '-4', '-brief', 'address'])).toMatch(
      /^rs[0-9a-f]{8}\S* +UP +192\.168\.1\.1\/24/m,
    );
  });

  it('asks the name server 4.2.2.4', async () => {
    expect(await inside('cat', '/etc/resolv.conf')).toBe('nameserver 4.2.2.4\n');
  });

  it('waits for input on its terminal', async () => {
    expect(await inside('readlink', '/proc/1/fd/0')).toBe('/dev/pts/0\n');
    expect(await find(getHost(), spec.name)).toMatchObject({ state: 'running' });
  });

  it('has no more than the devices of a container', async () => {
    // runc links /dev/core where the kernel has /proc/kcore.
    const found = (await inside('ls', '/dev'))
      .trim()
      .split('\n')
      .filter((name) => name !== 'core');
    expect(found.toSorted()).toEqual([
      'console',
      'fd',
      'full',
      'mqueue',
      'null',
      'ptmx',
      'pts',
      'random',
      'shm',
      'stderr',
      'stdin',
      'stdout',
      'tty',
      'urandom',
      'zero',
    ]);
  });
});
