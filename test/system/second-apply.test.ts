// A second apply changes nothing: every system call of it and of its children is looked at, and none may change
// anything. However the spec is spelled, and whatever was installed since: of another text it is remembered what it says,
// under the lock.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { identify, pending, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { serve, writeSpec, type SpecKeys } from '../support/specs.ts';
import { traceChanges } from '../support/system-calls.ts';

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');
const NETWORK = { bridge: 'again0', subnet: '10.72.0.0/24', address: '10.72.0.2', ports: ['8080:80'] };
const FULL: SpecKeys = {
  process: { args: serve('web', 'tcp:80'), stopTimeout: '5s', env: { ONE: '1', TWO: '2' } },
  resources: { cpus: 0.5, memory: '512m', pids: 50 },
  network: NETWORK,
  dns: { servers: ['4.2.2.4'], hosts: { db: '10.72.0.9' } },
  writable: 'persistent',
  sysctls: { 'net.core.somaxconn': 1024 },
  mounts: [
    { type: 'bind', source: './site', destination: '/srv/site', readOnly: true },
    { type: 'volume', source: 'again', destination: '/var/lib/data' },
    { type: 'tmpfs', destination: '/tmp', size: '64M' },
  ],
};

describe.skipIf(!requireSystem())('a second apply', () => {
  let name: string;
  let file: string;
  let identity: string;
  const getHost = shareHost({
    start: async (host) => {
      host.write('specs/site/index.html', 'hello\n');
      ({ name, file } = writeSpec(host, 'again', FULL));
      const routed = writeSpec(host, 'routed', { network: { mode: 'veth' } });
      await succeed(host, 'apply', file, routed.file);
      identity = await identify(host, name);
    },
  });
  const readSpec = (): SpecKeys => JSON.parse(fs.readFileSync(file, 'utf8')) as SpecKeys;
  const write = (base: string, text: string): string => getHost().write(`specs/${base}`, text);

  async function expectNoChange(
    files: readonly string[],
    { isNew, env = {} }: { readonly isNew: boolean; readonly env?: Readonly<Record<string, string>> },
  ) {
    const host = getHost();
    const { changes, calls, stdout } = await traceChanges(
      host,
      [process.execPath, CLI, 'apply', '--json', ...files],
      env,
    );
    const lock = new RegExp(`^(openat|unlink)\\([^"]*"${host.dataDir}/\\.lock"`);
    // A text of another file is kept, and the record says where it is.
    const text = new RegExp(`["<]${host.dataDir}/containers/${name}/\\.?(?:spec|plan)\\.json[^">]*[">]`);
    const others = changes.filter((call) => !text.test(call));
    expect(others.filter((call) => !lock.test(call))).toEqual([]);
    expect(others.length).toBe(isNew ? 2 : 0);
    expect(changes.length > others.length).toBe(isNew);
    expect(calls).toBeGreaterThan(100);
    for (const line of stdout.trim().split('\n'))
      expect(JSON.parse(line)).toMatchObject({ event: 'applied', changed: 0 });
    expect(await identify(host, name)).toBe(identity);
  }

  it('is watched by what would see a limit, a link, a table and a record change', async () => {
    const host = getHost();
    const other = writeSpec(host, 'plain', { resources: { memory: '64M' } });
    await succeed(host, 'apply', other.file);
    const changed = writeSpec(host, 'plain', { resources: { memory: '32M' } });
    const { changes } = await traceChanges(host, [process.execPath, CLI, 'apply', changed.file]);
    expect(changes).toContainEqual(
      expect.stringMatching(/^openat\(.*"\/sys\/fs\/cgroup\/.*\/memory\.\w+", O_WRONLY/),
    );
    expect(changes).toContainEqual(expect.stringContaining('pending.json'));
    await succeed(host, 'down', other.name);
    const script =
      'ip link add traced0 type veth peer name traced1; ip link del traced0; nft add table inet traced0; nft delete table inet traced0';
    const netlink = await traceChanges(host, ['sh', '-c', script]);
    // By name or, where strace does not know the socket's family, by number.
    for (const type of [
      'RTM_NEWLINK|0x10 ',
      'RTM_DELLINK|0x11 ',
      'NFT_MSG_NEWTABLE|0xa00 ',
      'NFT_MSG_DELTABLE|0xa02 ',
    ])
      expect(netlink.changes).toContainEqual(expect.stringMatching(type));
  });

  it('changes nothing', async () => {
    const host = getHost();
    const before = await host.snapshot();
    await expectNoChange([file, path.join(path.dirname(file), 'routed.json')], { isNew: false });
    expect(await host.settledDiff(before)).toEqual([]);
  });

  const spellings: readonly (readonly [string, (spec: SpecKeys) => readonly [string, string]])[] = [
    [
      'a size in bytes',
      (spec) => [
        'bytes.json',
        JSON.stringify({ ...spec, resources: { ...(spec['resources'] as object), memory: 536_870_912 } }),
      ],
    ],
    ['keys in another order', (spec) => ['order.json', JSON.stringify(reverseKeys(spec))]],
    ['YAML', (spec) => ['as.yaml', `# a comment\n${stringify(spec)}`]],
    [
      'YAML with anchors and aliases',
      (spec) => {
        const own = `name: ${String(spec['name'])}\n`;
        return [
          'anchors.yaml',
          stringify(spec).replace(own, own.replace(' ', ' &own ') + 'hostname: *own\n'),
        ];
      },
    ],
    [
      'defaults written out',
      (spec) => [
        'defaults.json',
        JSON.stringify({
          ...spec,
          hostname: spec['name'],
          runtime: 'auto',
          namespaces: {
            network: 'private',
            pid: 'private',
            ipc: 'private',
            uts: 'private',
            mount: 'private',
            cgroup: 'private',
          },
          network: {
            ...NETWORK,
            mode: 'bridge',
            interface: 'eth0',
            nat: true,
            gateway: '10.72.0.1',
            ports: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
          },
          security: { seccomp: 'default', maskedPaths: 'default', readonlyPaths: 'default' },
          devices: [],
        }),
      ],
    ],
    [
      'paths from elsewhere',
      (spec) => ['deeper/web.json', JSON.stringify(spec).replace('./site', '../site')],
    ],
  ];
  it.each(spellings)('changes nothing for %s', async (_, spell) => {
    const [base, text] = spell(readSpec());
    await expectNoChange([write(base, text)], { isNew: true });
  });

  it('changes nothing for other versions of the tools, or another place of theirs', async () => {
    const host = getHost();
    const bin = path.join(host.folder, 'specs/bin');
    for (const program of ['runc', 'crun', 'conmon', 'ip', 'nft', 'mount', 'tar']) {
      const script = `#!/bin/sh\nif [ "$1" = --version ]; then echo "${program} version 99.0"; exit; fi\nPATH=\${PATH#*:}; exec ${program} "$@"\n`;
      fs.chmodSync(host.write(`specs/bin/${program}`, script), 0o755);
    }
    const PATH = `${bin}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
    expect(await pending(host, file)).toEqual([]);
    await expectNoChange([file], { isNew: true, env: { PATH } });
  });

  it('finds nothing to do where a neighbour has given the bridge another mtu', async () => {
    const host = getHost();
    const network = { bridge: 'again1', subnet: '10.73.0.0/24' };
    const [one, other] = [
      writeSpec(host, 'wide', { network }),
      writeSpec(host, 'narrow', { network: { ...network, mtu: 1400 } }),
    ];
    await succeed(host, 'apply', one.file);
    await succeed(host, 'apply', other.file);
    for (const { file: spec } of [one, other]) {
      expect(await pending(host, spec)).toEqual([]);
      expect(await succeed(host, 'apply', '--json', spec)).not.toContain('"event":"step"');
    }
    await succeed(host, 'down', one.name, other.name);
  });
});

function reverseKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reverseKeys);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, field]) => [key, reverseKeys(field)]),
  );
}
