// What `plan` prints is what is done: its script makes the container by itself, and `apply` reports the same changes.
import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { find, pending, succeed } from '../support/containers.ts';
import { alpine, requireSystem } from '../support/requirements.ts';
import { copySpec, writeSpec, type PlacedSpec } from '../support/specs.ts';
import { getPage } from '../support/talk.ts';
import { createTestHost, type TestHost } from '../support/test-host.ts';

const hasNginx = requireSystem() && fs.existsSync('/usr/sbin/nginx');
if (!hasNginx) console.warn('skipped: scripts of plans: no /usr/sbin/nginx (scripts/setup installs it)');

/** Steps of what containers have together. */
const SHARED = /\b(?:mount:|bridge:|nft-table:|nft:|sysctl:|layer:)/;

describe.skipIf(!hasNginx)('the plan', () => {
  let host: TestHost;
  beforeEach(async () => {
    host = await createTestHost();
  });
  // A script has no way back: all goes with the host.
  afterEach(() => host.destroy());

  const runScript = async ({ file }: PlacedSpec): Promise<void> => {
    const script = await succeed(host, 'plan', '--script', file);
    await host.output(['sh', host.write('make.sh', script)]);
  };

  /** All that a script makes as runspec does; the process it starts by the runtime alone, without conmon. */
  const readKernel = async (): Promise<unknown> => {
    const { mount, link, address, route, rule, nft, netns, sysctl } = await host.snapshot();
    return {
      // A namespace has another number each time, and overlayfs says `uuid=on` of an upper folder that was empty.
      mount: mount.map((line) => line.replace(/net:\[\d+\]/, 'net').replace(/,uuid=on$/, '')),
      // What runspecs with other data folders tell each other.
      nft: nft.join('\n').replace(/\tset touched \{\n(?:\t\t.*\n)*\t\}\n/, ''),
      link,
      address,
      route,
      rule,
      netns,
      sysctl,
    };
  };

  it('as a script makes a web server that answers on its port', async () => {
    const web = copySpec(host, 'nginx.yaml');
    await runScript(web);
    const page = async () => (await getPage((argv) => host.exec(argv), '127.0.0.1', 8080))?.body;
    await expect.poll(page, { timeout: 30_000 }).toContain('<!doctype html>');
    // No record tells of it: the container's own things are made anew, and what is shared is as it is to be.
    expect((await pending(host, web.file)).filter((line) => SHARED.test(line))).toEqual([]);
    const made = await readKernel();
    await succeed(host, 'apply', web.file);
    expect(await readKernel()).toEqual(made);
    await expect.poll(page, { timeout: 30_000 }).toContain('<!doctype html>');
    expect(await find(host, web.name)).toMatchObject({ state: 'running' });
  });

  const archive = requireSystem() ? alpine() : undefined;
  it.skipIf(archive === undefined)(
    'as a script makes a container of an archive, with a terminal',
    async () => {
      const spec = copySpec(host, 'alpine.yaml', (text) =>
        text.replace(/tarball: \S+/, `tarball: ${archive ?? ''}`),
      );
      await runScript(spec);
      const { containers } = JSON.parse(await succeed(host, 'plan', '--json', spec.file)) as {
        readonly containers: readonly { readonly runtime: { readonly path: string } }[];
      };
      const runtime = [
        containers[0]?.runtime.path ?? '',
        '--root',
        `${host.stateDir}/${spec.name}/runtime`,
        'exec',
        spec.name,
      ];
      expect(await host.output([...runtime, 'cat', '/etc/alpine-release'])).toBe('3.20.3\n');
      expect(await host.output([...runtime, 'cat', '/etc/resolv.conf'])).toContain('nameserver 4.2.2.4');
    },
  );

  it('as a script makes once what several share', async () => {
    const specs = ['one', 'two'].map((name) => writeSpec(host, name, { network: {} }));
    const files = specs.map(({ file }) => file);
    await host.output(['sh', host.write('make.sh', await succeed(host, 'plan', '--script', ...files))]);
    const left = (await succeed(host, 'plan', ...files)).match(/(?<=^ +[-+~±] )\S+/gm);
    expect(left).toContain('process');
    expect(left?.filter((line) => SHARED.test(line))).toEqual([]);
    const made = await readKernel();
    await succeed(host, 'apply', ...files);
    expect(await readKernel()).toEqual(made);
  });

  const SPECS = {
    'of one container': () => [copySpec(host, 'nginx.yaml').file],
    'of several that share a bridge': () =>
      ['one', 'two', 'three'].map((name) => writeSpec(host, name, { network: {} }).file),
  };
  it.each(Object.entries(SPECS))(
    '%s names the changes that apply then reports, each once',
    async (_, write) => {
      const files = write();
      const planned = JSON.parse(await succeed(host, 'plan', '--json', ...files)) as {
        readonly containers: readonly {
          readonly changes: readonly { readonly id: string; readonly action: string }[];
        }[];
      };
      const events = (await succeed(host, 'apply', '--json', ...files))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Readonly<Record<string, string>>)
        .filter(({ event }) => event === 'step');
      const text = (id = '', action = ''): string => `${action} ${id}`;
      const wanted = planned.containers
        .flatMap(({ changes }) => changes)
        .filter(({ action }) => action !== 'none')
        .map(({ id, action }) => text(id, action));
      expect(events.map(({ step, action }) => text(step, action)).toSorted()).toEqual(wanted.toSorted());
      expect(events.map(({ outcome }) => outcome)).toEqual(wanted.map(() => 'done'));
    },
  );
});

describe.skipIf(!requireSystem())('names with line ends and control characters', () => {
  let host: TestHost;
  beforeEach(async () => {
    host = await createTestHost();
  });
  afterEach(() => host.destroy());

  /** As a name in a spec: what comes after a comment's first line, and what clears a screen. */
  const rude = (): string => `/a\ntouch ${host.folder}/pwned\n#\u001B[2J`;
  const write = (): PlacedSpec =>
    writeSpec(host, 'rude', {
      layers: [{ files: { [rude()]: 'one\n' } }],
      mounts: [{ type: 'tmpfs', destination: `/mnt${rude()}` }],
      security: { seccomp: host.write(`profile${rude()}`, '{"defaultAction": "SCMP_ACT_ALLOW"}') },
      runtime: 'runc',
    });

  it('are no commands of a script', async () => {
    const script = await succeed(host, 'plan', '--script', write().file);
    await host.exec(['sh', host.write('make.sh', script)]);
    expect(fs.existsSync(`${host.folder}/pwned`)).toBe(false);
    // Not because the script has stopped before.
    expect(fs.existsSync(`${host.dataDir}/containers/${host.name('rude')}/bundle/config.json`)).toBe(true);
  });

  it('are on one line each where people read them, and in JSON as they are', async () => {
    const { name, file } = write();
    const plan = await succeed(host, 'plan', file);
    const { status, stderr } = await host.runspec('apply', file);
    expect(status).toBe(0);
    await host.output(['umount', `${host.stateDir}/${name}/rootfs`]);
    const { stdout } = await host.runspec('status', name);
    for (const text of [plan, stderr, stdout]) {
      expect(text).toContain(`touch ${host.folder}/pwned`);
      expect(text).not.toMatch(/^touch|(?!\n)\p{Cc}/mu);
    }
    expect(await succeed(host, 'plan', '--json', file)).toContain(JSON.stringify(`/mnt${rude()}`));
    await succeed(host, 'down', name);
  });
});
