// An update that cannot be carried out is refused while the former process runs, which goes on as if nothing had been.
import fs from 'node:fs';
import { describe, expect, it } from 'vitest';
import { archive, entry } from '../image/write-tar.ts';
import { drift, identify, list, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { SPECS, WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';

const NETWORK = { bridge: 'ahead0', subnet: '10.73.0.0/24', address: '10.73.0.2', ports: ['8080:80'] };

const link = entry({ name: 'esc', type: '2', link: '/tmp' });
const ARCHIVES: Readonly<Record<string, Buffer>> = {
  'good.tar': archive(entry({ name: 'srv/good', data: 'good' })),
  'hostile.tar': archive(link, entry({ name: 'esc/planted', data: 'planted' })),
  'cut.tar': archive(entry({ name: 'srv/cut', data: 'cut' })).subarray(0, 700),
  'text.tar': Buffer.from('<p>404 Not Found</p>'.repeat(60)),
};

describe.skipIf(!requireSystem())('an update', () => {
  const getHost = shareHost({
    start: async (host) => {
      fs.mkdirSync(`${host.folder}/${SPECS}`, { recursive: true });
      for (const [name, bytes] of Object.entries(ARCHIVES))
        fs.writeFileSync(`${host.folder}/${SPECS}/${name}`, bytes);
    },
  });

  it.each<readonly [string, SpecKeys, RegExp]>([
    [
      'an archive with another sha256',
      { layers: [{ tarball: './good.tar', sha256: 'a'.repeat(64) }] },
      /^\S+:\d+:\d+: error: layer:a+: \S+good\.tar has sha256 \w+, not a+$/m,
    ],
    ['an archive that leads out of its folder', { layers: [{ tarball: './hostile.tar' }] }, /hostile\.tar/],
    ['an archive that is cut short', { layers: [{ tarball: './cut.tar' }] }, /cut\.tar/],
    ['a file that is no archive', { layers: [{ tarball: './text.tar' }] }, /text\.tar/],
    [
      'a mount point in a file',
      { mounts: ['/tmp:/srv/serve/x'] },
      /^\S+:\d+:\d+: error: mountpoints: the mount on \/srv\/serve\/x would lie in \/srv\/serve, which .* is a file$/m,
    ],
    [
      'a layer that hides the program',
      { layers: [{ files: { '/srv/wait': 'no program' } }], process: { args: ['/srv/wait'] } },
      /^\S+:\d+:\d+: error: bundle: \/srv\/wait in the root file system is not an executable file$/m,
    ],
    [
      'a working folder that is a file',
      { process: { args: WAIT, cwd: '/srv/serve' } },
      /^\S+:\d+:\d+: error: bundle: the working folder \/srv\/serve is a file, not a folder$/m,
    ],
    [
      'other layers without its user',
      {
        layers: [{ files: { '/etc/passwd': 'root:x:0:0::/:/bin/sh\n' } }],
        process: { args: WAIT, user: 'ana' },
      },
      /^\S+:\d+:\d+: error: bundle: no user ana/m,
    ],
  ])('to %s ends no process that runs', async (_, keys, reason) => {
    const host = getHost();
    const first = { network: NETWORK, process: { args: WAIT } };
    const spec = writeSpec(host, 'runs', first);
    await succeed(host, 'apply', spec.file);
    const identity = await identify(host, spec.name);
    const up = await host.snapshot();
    writeSpec(host, 'runs', { ...first, network: { ...NETWORK, ports: ['8081:80'] }, ...keys });
    const { status, stderr } = await host.runspec('apply', spec.file);
    expect(stderr).toMatch(reason);
    expect(status).toBe(1);
    expect(await identify(host, spec.name)).toBe(identity);
    expect((await list(host)).map((row) => row.state)).toEqual(['running']);
    writeSpec(host, 'runs', first);
    expect(await host.settledDiff(up)).toEqual([]);
    expect(await drift(host, spec.name)).toEqual([]);
    expect(await pending(host, spec.file)).toEqual([]);
    await succeed(host, 'down', spec.name);
  });
});
