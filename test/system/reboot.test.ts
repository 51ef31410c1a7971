// After a reboot the kernel has forgotten everything and the disk nothing: records are void, ps says so, apply
// makes it all anew with the same address, and down cleans what is on the disk. The host's boot id is a file.
import fs from 'node:fs';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { drift, find, list, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, WAIT, writeSpec } from '../support/specs.ts';
import { ask } from '../support/talk.ts';
import type { TestHost } from '../support/test-host.ts';

const FIRST_BOOT = '00000000-0000-0000-0000-000000000000\n';
const BOOT_ID = '/proc/sys/kernel/random/boot_id';

describe.skipIf(!requireSystem())('after a reboot', () => {
  const bootFile = (host: TestHost): string => path.join(host.folder, 'boot-id');
  const getHost = shareHost({
    prepare: async (host) => {
      fs.writeFileSync(bootFile(host), FIRST_BOOT);
      await host.output(['mount', '--bind', bootFile(host), BOOT_ID]);
    },
    start: async (host) => {
      const spec = writeSpec(host, 'first', { network: {} });
      await succeed(host, 'apply', spec.file);
      await succeed(host, 'down', spec.name);
      fs.rmSync(spec.file);
    },
  });
  // Runs before the host is compared with what it was.
  afterAll(() => fs.writeFileSync(bootFile(getHost()), FIRST_BOOT));
  let boots = 0;
  let before: Awaited<ReturnType<TestHost['snapshot']>>;
  beforeEach(async () => {
    before = await getHost().snapshot();
  });

  /** Takes from the kernel what a reboot takes, and gives the host another boot id. */
  async function reboot(host: TestHost): Promise<void> {
    const script = `
      for folder in /sys/fs/cgroup/*/runspec/${host.prefix}-* /sys/fs/cgroup/runspec/${host.prefix}-*; do
        for pid in $(cat "$folder/cgroup.procs" 2>/dev/null); do kill -9 "$pid" 2>/dev/null; done
      done
      for mount in $(awk '{ print $5 }' /proc/self/mountinfo | grep -E "^(${host.stateDir}|/run/netns)" | sort -r); do
        # The table also lists what another mount hides.
        umount --lazy "$mount" 2>/dev/null
      done
      rm -rf --one-file-system /run/netns ${host.stateDir}/*
      [ ! -e /run/netns ] && [ -z "$(ls -A ${host.stateDir})" ] || { echo "mounts stay" >&2; exit 1; }
      for link in $(ip -o link | grep -oE "(rs[0-9a-f]{8}|runspec[0-9]+)[:@]" | tr -d ':@' | sort -u); do
        # Of a pair whose other end was in a namespace, the kernel may have taken it already.
        ip link del "$link" 2>/dev/null || ! ip link show "$link" 2>/dev/null || { echo "$link stays" >&2; exit 1; }
      done
      nft delete table inet runspec
      sysctl -q -w net.ipv4.ip_forward=0
      for try in $(seq 200); do
        left=0
        for folder in $(find /sys/fs/cgroup -depth -type d -path "*/runspec/${host.prefix}-*" 2>/dev/null); do rmdir "$folder" 2>/dev/null || left=1; done
        [ $left = 0 ] && exit 0
        sleep 0.05
      done
      echo "cgroups stay" >&2
      exit 1`;
    await host.output(['bash', '-c', script]);
    boots += 1;
    const id = String(boots).padStart(12, '0');
    fs.writeFileSync(bootFile(host), `00000000-0000-0000-0000-${id}\n`);
  }

  /** The boot id is another one by now. */
  const expectClean = async () => {
    const left = await getHost().settledDiff(before);
    expect(left.filter((line) => !line.includes(bootFile(getHost())))).toEqual([]);
  };

  const WEB = { process: { args: serve('web', 'tcp:80') }, network: { ports: ['8080:80'] } };

  it('records are void: ps says so, and apply makes all anew with the same address', async () => {
    const host = getHost();
    const other = writeSpec(host, 'other', { process: { args: WAIT }, network: {} });
    const { file, name } = writeSpec(host, 'web', WEB);
    await succeed(host, 'apply', other.file);
    await succeed(host, 'apply', file);
    const { address } = await find(host, name);
    expect(address).toBe('10.209.0.3');
    await reboot(host);
    expect((await list(host)).map((row) => row.state)).toEqual(['rebooted', 'rebooted']);
    expect(await pending(host, file)).not.toEqual([]);
    await succeed(host, 'apply', file);
    expect(await find(host, name)).toMatchObject({ state: 'running', address });
    expect(await drift(host, name)).toEqual([]);
    expect(await ask((argv) => host.exec(argv), { address: '127.0.0.1', port: 8080 })).toContain('web');
    await succeed(host, 'down', name, other.name);
    for (const spec of [file, other.file]) fs.rmSync(spec);
    await expectClean();
  });

  it('down cleans what is on the disk', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'web', WEB);
    await succeed(host, 'apply', file);
    await reboot(host);
    expect((await host.runspec('status', name)).status).toBe(3);
    await succeed(host, 'down', name);
    fs.rmSync(file);
    await expectClean();
  });

  it('an address is free for others, and gc leaves the records to who applied them', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'web', WEB);
    await succeed(host, 'apply', file);
    const { address } = await find(host, name);
    await reboot(host);
    await succeed(host, 'gc');
    expect((await list(host)).map((row) => row.name)).toEqual([name]);
    const other = writeSpec(host, 'other', { process: { args: WAIT }, network: { address } });
    await succeed(host, 'apply', other.file);
    await succeed(host, 'apply', file);
    expect((await find(host, name)).address).not.toBe(address);
    await succeed(host, 'down', '--all');
    for (const spec of [file, other.file]) fs.rmSync(spec);
    await expectClean();
  });

  it('an apply that the reboot cut short is made anew, or taken down', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'web', WEB);
    await succeed(host, 'apply', file);
    const folder = path.join(host.dataDir, 'containers', name);
    fs.renameSync(path.join(folder, 'plan.json'), path.join(folder, 'pending.json'));
    await reboot(host);
    await succeed(host, 'apply', file);
    expect(await drift(host, name)).toEqual([]);
    fs.renameSync(path.join(folder, 'plan.json'), path.join(folder, 'pending.json'));
    await reboot(host);
    await succeed(host, 'down', name);
    fs.rmSync(file);
    await expectClean();
  });

  it('an apply that fails makes nothing of the former plan, nor takes a port from who has it now', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'web', WEB);
    await succeed(host, 'apply', file);
    await reboot(host);
    const rebooted = await host.snapshot();
    writeSpec(host, 'web', {
      ...WEB,
      network: { ports: ['8081:80'] },
      layers: [{ files: { '/etc/motd': 'changed' } }],
      sysctls: { 'net.core.somaxconn': 'nonsense' },
    });
    const failed = await host.runspec('apply', file);
    expect(failed.status).toBe(1);
    expect(failed.stderr).not.toContain('not cleaned up');
    const left = await host.settledDiff(rebooted);
    // The spec; what is made anew with the process; what was before the reboot, which matters no more.
    const isOther = (line: string): boolean =>
      ![file, '/bundle/', '/plan.json', '/shared.json'].some((part) => line.includes(part));
    expect(left.filter(isOther)).toEqual([]);
    expect(await find(host, name)).toMatchObject({ state: 'rebooted' });
    writeSpec(host, 'web', WEB);
    await succeed(host, 'apply', file);
    expect(await ask((argv) => host.exec(argv), { address: '127.0.0.1', port: 8080 })).toContain('web');
    await succeed(host, 'down', name);
    fs.rmSync(file);
    await expectClean();
  });
});
