// A host without nftables: what needs no rule of ours is up and down as anywhere, the rest is told what is missing.
import { describe, expect, it } from 'vitest';
import { find, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';

/** Hides nft behind an overlay of its folder; what compares the host needs it again. */
async function withoutNft<T>(host: TestHost, work: () => Promise<T>): Promise<T> {
  const script =
    'nft=$(readlink -f "$(PATH=$PATH:/usr/sbin:/sbin command -v nft)"); dir=${nft%/*}; ' +
    'mkdir "$0" && mount -t tmpfs tmpfs "$0" && mkdir "$0/upper" "$0/work" && ' +
    'mount -t overlay -o lowerdir="$dir",upperdir="$0/upper",workdir="$0/work" overlay "$dir" && ' +
    'rm "$nft" && echo "$dir"';
  const place = `${host.folder}/hidden`;
  const folder = (await host.output(['sh', '-euc', script, place])).trim();
  try {
    return await work();
  } finally {
    await host.output(['umount', folder]);
    await host.output(['sh', '-euc', 'umount "$0" && rmdir "$0"', place]);
  }
}

describe.skipIf(!requireSystem())('a host without nft', () => {
  const getHost = shareHost();

  it.each([{ mode: 'none' }, { mode: 'host' }])('runs a container with network $mode', async (network) => {
    const host = getHost();
    const { file, name } = writeSpec(host, `nft-${network.mode}`, {
      network,
      process: { args: ['sleep', '1000'], stopTimeout: '0s' },
    });
    const before = await host.snapshot();
    await withoutNft(host, async () => {
      await succeed(host, 'apply', file);
      expect((await find(host, name)).state).toBe('running');
      await succeed(host, 'status', name);
      expect((await host.runspec('apply', file)).stderr).toContain('is up to date');
      await succeed(host, 'down', name);
      await succeed(host, 'gc');
    });
    expect(await host.settledDiff(before)).toEqual([]);
  });

  it('is told so for a network of its own, and touched by nothing', async () => {
    const host = getHost();
    const { file } = writeSpec(host, 'nft-bridge', { network: {} });
    const before = await host.snapshot();
    const failed = await withoutNft(host, () => host.runspec('apply', file));
    expect(failed.status).toBe(2);
    expect(failed.stderr).toMatch(/:\d+:\d+: nft is not installed/);
    expect(failed.stderr).toContain('hint: apt-get install nftables');
    expect(await host.settledDiff(before)).toEqual([]);
  });
});
