// runspec commit: a container's files as an image or an archive that runs again, here and elsewhere.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, identify, inside, succeed } from '../support/containers.ts';
import { programs, requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { findTools, SPECS, WAIT, writeSpec } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';
import { describeTree } from '../support/tree.ts';

const LAYER = {
  files: {
    '/srv/kept': 'kept\n',
    '/srv/gone': 'gone\n',
    '/srv/folder/one': 'one\n',
    '/srv/folder/two': 'two\n',
    '/srv/replaced/below': 'below\n',
    '/srv/attribute': 'attribute\n',
  },
};

const CHANGE = `cd /srv
  echo new >new; mkdir -m 2775 fresh; echo x >fresh/file; ln fresh/file linked; ln -s kept symlink
  rm gone
  rm -r folder; mkdir folder; echo 3 >folder/three
  rm -r replaced; echo now a file >replaced
  setfattr -n user.note -v hello attribute
  mkfifo pipe; mknod null c 1 3; cp /srv/kept setuid; chown 7:8 setuid; chmod 4755 setuid
  touch $'\\xff' 'with space'
  echo hidden >/tmp/hidden; echo kept >volume/file
  echo 192.0.2.1 changed >>/etc/hosts`;

const ready = requireSystem() && programs('getfattr', 'setfattr');

describe.skipIf(!ready)('commit', () => {
  let name = '';
  const getHost = shareHost({
    start: async (host) => {
      const spec = writeSpec(host, 'made', {
        rootfs: { host: { files: findTools() } },
        layers: [LAYER],
        process: {
          args: WAIT,
          cwd: '/srv',
          env: { COLOUR: 'green' },
          stopSignal: 'SIGQUIT',
          stopTimeout: '1s',
        },
        mounts: [
          { type: 'volume', source: 'data', destination: '/srv/volume' },
          { type: 'tmpfs', destination: '/tmp' },
        ],
      });
      name = spec.name;
      await succeed(host, 'apply', spec.file);
      await succeed(host, 'exec', name, '--', 'bash', '-euc', CHANGE);
    },
  });
  const place = (file: string): string => path.join(getHost().folder, SPECS, file);
  const commit = async (output: string, ...more: readonly string[]): Promise<string> =>
    (await succeed(getHost(), 'commit', name, '--output', output, ...more)).trim();
  /** Names on the way to what is mounted there, and generated files, are each container's own. */
  const treeOf = (host: TestHost, container: string): readonly string[] =>
    describeTree(`/proc/${host.pid}/root${host.stateDir}/${container}/rootfs`).filter(
      (line) => !/^(?:dev|proc|sys|tmp|srv\/volume|etc\/(?:hosts|hostname|resolv\.conf))\b/.test(line),
    );

  it('gives an image that runs as the container did, with the same files and nothing changed', async () => {
    const host = getHost();
    const [digest, before] = [await commit(`oci:${place('layout')}:v1`), await identify(host, name)];
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await identify(host, name)).toBe(before);
    const again = host.name('again');
    const spec = {
      runspec: 1,
      name: again,
      rootfs: { image: 'oci:./layout:v1' },
      process: { stopTimeout: '1s' },
    };
    await succeed(host, 'apply', host.write(`${SPECS}/again.json`, JSON.stringify(spec)));
    expect(await succeed(host, 'diff', again)).toBe('');
    expect(treeOf(host, again)).toEqual(treeOf(host, name));
    const { stdout } = await inside(
      host,
      again,
    )(['bash', '-c', 'pwd; echo $COLOUR; ls -A /tmp; test ! -e volume']);
    expect(stdout).toBe('/srv\ngreen\n');
    expect(await succeed(host, 'plan', place('again.json'))).toContain('says process.stopSignal "SIGQUIT"');
    await succeed(host, 'down', again);
  });

  it('gives the same bytes each time, and keeps other tags of a layout', async () => {
    const first = await commit(`oci:${place('same')}:one`);
    const blobs = fs.readdirSync(place('same/blobs/sha256'));
    expect(await commit(`oci:${place('same')}:two`)).toBe(first);
    expect(fs.readdirSync(place('same/blobs/sha256'))).toEqual(blobs);
    const { manifests } = JSON.parse(fs.readFileSync(place('same/index.json'), 'utf8')) as {
      readonly manifests: readonly { readonly annotations: Readonly<Record<string, string>> }[];
    };
    expect(manifests.map(({ annotations }) => Object.values(annotations)[0])).toEqual(['one', 'two']);
    expect(fs.readdirSync(place('same')).toSorted()).toEqual(['blobs', 'index.json', 'oci-layout']);
  });

  it('gives an archive of the whole root, without what was deleted', async () => {
    await commit(place('root.tar.gz'));
    const names = execFileSync('tar', ['--list', '--file', place('root.tar.gz')], { encoding: 'utf8' }).split(
      '\n',
    );
    expect(names).toContain('srv/folder/three');
    expect(names).toContain('srv/kept');
    for (const gone of ['srv/gone', 'srv/folder/one', 'srv/replaced/below', 'srv/volume/file', 'tmp/hidden'])
      expect(names).not.toContain(gone);
    expect(names.filter((one) => one.includes('.wh.'))).toEqual([]);
    const host = getHost();
    const flat = writeSpec(host, 'flat', { rootfs: { tarball: place('root.tar.gz') }, layers: [] });
    await succeed(host, 'apply', flat.file);
    expect(treeOf(host, flat.name)).toEqual(
      treeOf(host, name).filter((line) => !line.startsWith('srv/null ')),
    );
    await succeed(host, 'down', flat.name);
  });

  it.skipIf(!programs('skopeo', 'umoci', 'podman'))('is accepted by skopeo, umoci and podman', async () => {
    const host = getHost();
    await commit(`oci:${place('peers')}:v1`);
    await commit(`docker-archive:${place('peers.tar')}:example/made:v1`);
    const inspected = JSON.parse(
      await host.output(['skopeo', 'inspect', '--config', `oci:${place('peers')}:v1`]),
    ) as { readonly config: Readonly<Record<string, unknown>> };
    expect(inspected.config).toMatchObject({ Cmd: WAIT, WorkingDir: '/srv', StopSignal: 'SIGQUIT' });
    await host.output(['umoci', 'unpack', '--image', `${place('peers')}:v1`, place('unpacked')]);
    const unpacked = describeTree(place('unpacked/rootfs')).filter((line) => line.startsWith('srv/'));
    expect(unpacked.filter((line) => !line.startsWith('srv/volume'))).toEqual(
      treeOf(host, name).filter((line) => line.startsWith('srv/')),
    );
    // Everything it keeps, in a folder of ours.
    const at = (one: string): string => place(`podman/${one}`);
    const config = `[engine]
static_dir = "${at('libpod')}"
tmp_dir = "${at('tmp')}"
volume_path = "${at('volumes')}"
[network]
network_config_dir = "${at('networks')}"
`;
    const env = { CONTAINERS_CONF: host.write(`${SPECS}/podman.conf`, config), TMPDIR: place('') };
    const podman = ['podman', '--root', at('root'), '--runroot', at('run'), '--storage-driver', 'vfs'];
    const loaded = await host.output([...podman, 'load', '--input', place('peers.tar')], { env });
    await host.output(['rm', '-rf', '/dev/shm/libpod_lock', '/run/containers', '/run/libpod']);
    expect(loaded).toContain('example/made:v1');
    const { stdout } = await host.exec(['skopeo', 'inspect', `docker-archive:${place('peers.tar')}`]);
    expect(stdout).toContain('"Layers"');
  });

  it('runs again from a docker-archive', async () => {
    const host = getHost();
    await commit(`docker-archive:${place('saved.tar')}`);
    const again = host.name('saved');
    const spec = {
      runspec: 1,
      name: again,
      rootfs: { image: 'docker-archive:./saved.tar' },
      process: { stopTimeout: '1s' },
    };
    await succeed(host, 'apply', host.write(`${SPECS}/saved.json`, JSON.stringify(spec)));
    expect(treeOf(host, again)).toEqual(treeOf(host, name));
    await succeed(host, 'down', again);
  });

  it('holds the processes still meanwhile, and lets them go even when it is killed', async () => {
    const host = getHost();
    const started = await host.startRunspec('commit', name, '--output', place('killed.tar'));
    const files = [
      `/sys/fs/cgroup/freezer/runspec/${name}/freezer.state`,
      ...['', 'unified/'].map((root) => `/sys/fs/cgroup/${root}runspec/${name}/cgroup.freeze`),
    ].filter((file) => fs.existsSync(file));
    const frozen = (): boolean => files.some((file) => /^(?:1|FROZEN)$/m.test(fs.readFileSync(file, 'utf8')));
    await expect.poll(frozen, { timeout: 20_000, interval: 1 }).toBe(true);
    started.kill('SIGKILL');
    await started.ended;
    await expect.poll(frozen, { timeout: 20_000 }).toBe(false);
    expect((await find(host, name)).state).toBe('running');
    expect((await inside(host, name)(['cat', '/srv/new'])).stdout).toBe('new\n');
    // The next commit to the place takes along what the killed one left.
    await commit(place('killed.tar'));
    expect(fs.readdirSync(place('')).filter((one) => one.startsWith('.runspec-'))).toEqual([]);
  });

  it.each([
    ['docker://registry.example/made:v1', 'cannot be written to docker://'],
    ['made', 'is no image and no archive'],
    ['oci:', 'is not an image'],
    ['/nowhere/made.tar.gz', 'the folder /nowhere does not exist'],
    ['docker-archive:/nowhere/made.tar', 'the folder /nowhere does not exist'],
    ['oci:/nowhere/made:v1', 'the folder /nowhere does not exist'],
    ['/dev/null/made.tar.gz', '/dev/null is a character, not a folder'],
    ['oci:/dev/null', '/dev/null is a character, not a folder'],
  ])('refuses %s', async (output, message) => {
    const { status, stderr } = await getHost().runspec('commit', name, '--output', output);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining(message) as unknown });
  });

  it('leaves a folder alone that is no layout, and nothing half-made on a full disk', async () => {
    const host = getHost();
    fs.mkdirSync(place('other'));
    fs.writeFileSync(place('other/file'), '');
    const other = await host.runspec('commit', name, '--output', `oci:${place('other')}:v1`);
    expect(other.status).toBe(2);
    expect(other.stderr).toContain('is no OCI image layout');
    expect(fs.readdirSync(place('other'))).toEqual(['file']);
    await host.output(['mkdir', place('small')]);
    await host.output(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place('small')]);
    for (const output of [`${place('small')}/root.tar.gz`, `oci:${place('small')}/layout`]) {
      const full = await host.runspec('commit', name, '--output', output);
      expect(full.status).toBe(1);
      expect(full.stderr).toContain('no space left');
      expect(await host.output(['ls', '-A', place('small')])).toBe('');
    }
    await host.output(['umount', place('small')]);
  });
});
