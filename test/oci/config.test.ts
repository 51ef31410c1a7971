import { describe, expect, it } from 'vitest';
import { buildConfig, findConfigProblems, joinedNamespaces } from '../../src/oci/config.ts';
import { mountTargets } from '../../src/oci/mounts.ts';
import { makeInput, makeSpec } from './make-spec.ts';

const destinations = (input: ReturnType<typeof makeInput>): readonly string[] =>
  buildConfig(input).mounts.map(({ destination }) => destination);

describe('the OCI configuration', () => {
  it('of a spec without wishes is safe by default', async () => {
    const text = `${JSON.stringify(buildConfig(makeInput()), undefined, 2)}\n`;
    await expect(text).toMatchFileSnapshot('../fixtures/runtime/config-default.json');
  });

  it('survives a round trip through JSON', () => {
    const config = buildConfig(makeInput({ process: { oomScoreAdj: 5 } }));
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
  });

  it('puts the spec over the default environment', () => {
    const { env } = buildConfig(
      makeInput({ process: { env: { PATH: '/opt', A: 'b=c' }, terminal: true } }),
    ).process;
    expect(env).toEqual(['PATH=/opt', 'HOSTNAME=web', 'TERM=xterm', 'A=b=c']);
  });

  it('names rlimits as the kernel does', () => {
    const { rlimits } = buildConfig(
      makeInput({ process: { rlimits: { nofile: { soft: 1, hard: 2 } } } }),
    ).process;
    expect(rlimits).toEqual([{ type: 'RLIMIT_NOFILE', soft: 1, hard: 2 }]);
  });

  it('allows a device to the cgroup that it makes', () => {
    const device = {
      path: '/dev/fuse',
      type: 'character',
      major: 10,
      minor: 229,
      mode: 0o666,
      uid: 0,
      gid: 0,
    } as const;
    const { linux } = buildConfig({ ...makeInput(), devices: [device] });
    expect(linux.devices).toEqual([
      { path: '/dev/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 },
    ]);
    expect(linux.resources.devices.at(-1)).toEqual({
      allow: true,
      type: 'c',
      major: 10,
      minor: 229,
      access: 'rwm',
    });
    expect(linux.resources.devices[0]).toEqual({ allow: false, access: 'rwm' });
  });
});

describe('mounts', () => {
  it('come outer before inner, after the defaults', () => {
    const mounts = ['/a/b/c', '/a', '/z/y'].map(
      (destination) => ({ type: 'bind', source: '/s', destination, readOnly: false }) as const,
    );
    expect(destinations(makeInput({ mounts })).slice(-3)).toEqual(['/a', '/z/y', '/a/b/c']);
  });

  it('are read-only all the way down', () => {
    const mounts = [{ type: 'bind', source: '/s', destination: '/d', readOnly: true } as const];
    expect(buildConfig(makeInput({ mounts })).mounts.at(-1)?.options).toEqual([
      'rbind',
      'rprivate',
      'ro',
      'rro',
    ]);
  });

  it('of type volume come from the data folder', () => {
    const mounts = [{ type: 'volume', source: 'db', destination: '/d', readOnly: false } as const];
    expect(buildConfig(makeInput({ mounts })).mounts.at(-1)?.source).toBe('/data/volumes/db');
  });

  it('of type tmpfs have size and mode', () => {
    const mounts = [
      { type: 'tmpfs', destination: '/tmp', size: 65_536, mode: 0o1777, readOnly: false } as const,
    ];
    expect(buildConfig(makeInput({ mounts })).mounts.at(-1)?.options).toEqual([
      'nosuid',
      'nodev',
      'noexec',
      'mode=1777',
      'size=65536',
    ]);
  });

  it('over a default place leave out what would be mounted there or below', () => {
    const mounts = ['/dev', '/etc/'].map(
      (destination) => ({ type: 'bind', source: '/s', destination, readOnly: false }) as const,
    );
    expect(destinations(makeInput({ mounts }))).toEqual(['/proc', '/sys', '/sys/fs/cgroup', '/dev', '/etc']);
  });

  it('need their places in the root, of the type of their source', () => {
    const mounts = [
      { type: 'bind', source: '/s/file', destination: '/etc/app.conf', readOnly: true },
      { type: 'bind', source: '/s/dir', destination: '/srv/../var/www', readOnly: true },
      { type: 'bind', source: '/s/file', destination: '/etc/hosts', readOnly: true },
      { type: 'tmpfs', destination: '/dev/huge', mode: 0o700, readOnly: false },
    ] as const;
    const found = { mode: 0, uid: 0, gid: 0, size: 0, device: 0, inode: 0, mtimeNs: '0', ctimeNs: '0' };
    const targets = mountTargets(makeSpec({ mounts }), {
      '/s/file': { ...found, type: 'file' },
      '/s/dir': { ...found, type: 'directory' },
    });
    expect(targets.filter(({ symlinks }) => symlinks === 'resolve')).toEqual([
      { path: '/etc/app.conf', type: 'file', symlinks: 'resolve' },
      { path: '/var/www', type: 'directory', symlinks: 'resolve' },
    ]);
    expect(targets.find(({ path }) => path === '/etc/hosts')).toEqual({
      path: '/etc/hosts',
      type: 'file',
      symlinks: 'replace',
    });
    expect(targets.map(({ path }) => path)).not.toContain('/dev/huge');
  });
});

describe('namespaces', () => {
  const types = (change: Parameters<typeof makeInput>[0]): unknown =>
    buildConfig(makeInput(change)).linux.namespaces;

  it('are left out when they are the host’s, and joined later when they are another container’s', () => {
    const namespaces = {
      pid: { mode: 'host' },
      ipc: { mode: 'container', container: 'db' },
      cgroup: { mode: 'path', path: '/proc/7/ns/cgroup' },
    } as const;
    expect(types({ namespaces })).toEqual([
      { type: 'mount' },
      { type: 'uts' },
      { type: 'network', path: '/run/netns/runspec-web' },
      { type: 'cgroup', path: '/proc/7/ns/cgroup' },
    ]);
    expect(joinedNamespaces(makeSpec({ namespaces }))).toEqual([{ type: 'ipc', container: 'db' }]);
  });

  it('of the network follow network.mode: host', () => {
    expect(types({ network: { mode: 'host' } })).not.toContainEqual(
      expect.objectContaining({ type: 'network' }),
    );
  });

  it('without an own host name leave the name alone', () => {
    const config = buildConfig(makeInput({ namespaces: { uts: { mode: 'host' } } }));
    expect(config.hostname).toBeUndefined();
    expect(config.process.env.some((entry) => entry.startsWith('HOSTNAME='))).toBe(false);
  });

  it('of the host’s IPC bring the host’s shared memory', () => {
    const config = buildConfig(makeInput({ namespaces: { ipc: { mode: 'host' } } }));
    expect(config.mounts.find(({ destination }) => destination === '/dev/shm')?.source).toBe('/dev/shm');
  });
});

describe('what no OCI runtime does', () => {
  it.each([
    ['mount: host', { namespaces: { mount: { mode: 'host' } } }, ['namespaces', 'mount']],
    [
      'a mount on /',
      { mounts: [{ type: 'bind', source: '/s', destination: '/x/..', readOnly: false }] },
      ['mounts', 0, 'destination'],
    ],
    [
      'a mount in /proc',
      { mounts: [{ type: 'tmpfs', destination: '/proc/sys', mode: 0, readOnly: false }] },
      ['mounts', 0, 'destination'],
    ],
  ] as const)('%s is an error with its place', (_, change, path) => {
    const problems = findConfigProblems(makeSpec(change));
    expect(problems.map((problem) => [problem.severity, problem.path])).toEqual([['error', path]]);
  });

  it('finds nothing wrong with the defaults', () => {
    expect(findConfigProblems(makeSpec())).toEqual([]);
  });
});
