import { statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bundle } from '../../src/ops/bundle.ts';
import type { OpContext } from '../../src/ops/op.ts';
import type { BundleStep } from '../../src/plan/plan.ts';
import { buildConfig } from '../../src/oci/config.ts';
import type { OciConfig } from '../../src/oci/runtime-spec.ts';
import { makeInput } from '../oci/make-spec.ts';
import { host, makeTree } from '../runtime/scratch-root.ts';

const MEMBERS = ['bin/sh', 'bin/app'].map((name) => [`root/${name}`, '#!/bin/sh'] as const);

function makeStep(
  change: Partial<BundleStep> = {},
  process: object = {},
): { step: BundleStep; context: OpContext; folder: string } {
  const folder = makeTree({
    ...Object.fromEntries(MEMBERS),
    'root/etc/passwd': 'app:x:1000:1001::/home/app:/bin/sh',
    'data/containers/keep': '',
    'seccomp.json': '{"defaultAction": "SCMP_ACT_ALLOW"}',
    'docker.json': '{"defaultAction": "SCMP_ACT_ALLOW", "archMap": []}',
  });
  const config = buildConfig({ ...makeInput({ process }), rootfs: `${folder}/root` });
  const step: BundleStep = {
    op: 'bundle',
    id: 'bundle',
    needs: [],
    after: [],
    path: `${folder}/bundle`,
    rootfs: `${folder}/root`,
    user: '',
    additionalGids: [],
    seccomp: 'default',
    join: [],
    config,
    ...change,
  };
  return { step, folder, context: { host, dataDir: `${folder}/data` } as unknown as OpContext };
}

async function written(made: ReturnType<typeof makeStep>): Promise<OciConfig> {
  await bundle.apply(made.context, made.step, {});
  return JSON.parse((await host.readText(`${made.step.path}/config.json`)) ?? '') as OciConfig;
}

describe('the bundle', () => {
  it('is absent, then present, then absent again', async () => {
    const { step, context } = makeStep();
    expect(await bundle.probe(context, step)).toEqual({ state: 'absent' });
    await bundle.apply(context, step, {});
    expect(await bundle.probe(context, step)).toEqual({ state: 'present' });
    const undo = (): ReturnType<typeof bundle.revert> => bundle.revert(context, step, {}, { volumes: false });
    expect(await undo()).toEqual({ outcome: 'removed' });
    expect(await undo()).toEqual({ outcome: 'gone' });
    expect(await host.status(step.path)).toBeUndefined();
  });

  it('is for root alone', async () => {
    const made = makeStep();
    await written(made);
    expect(statSync(`${made.step.path}/config.json`).mode & 0o777).toBe(0o600);
  });

  it('has the user, its home and the filter filled in', async () => {
    const { process, linux } = await written(makeStep({ user: 'app' }));
    expect(process.user).toEqual({ uid: 1000, gid: 1001 });
    expect(process.env).toContain('HOME=/home/app');
    expect(process.capabilities.effective).toEqual([]);
    expect(linux.seccomp?.defaultAction).toBe('SCMP_ACT_ERRNO');
  });

  it('keeps the HOME of the spec', async () => {
    const { process } = await written(makeStep({ user: 'app' }, { env: { HOME: '/data' } }));
    expect(process.env.filter((entry) => entry.startsWith('HOME='))).toEqual(['HOME=/data']);
  });

  it('has no filter when unconfined, and the one of a file as it is', async () => {
    expect((await written(makeStep({ seccomp: 'unconfined' }))).linux.seccomp).toBeUndefined();
    const made = makeStep();
    const own = { ...made, step: { ...made.step, seccomp: `${made.folder}/seccomp.json` } };
    expect((await written(own)).linux.seccomp).toEqual({ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [] });
  });

  it.each([
    ['docker.json', 'is not in OCI format'],
    ['nosuch.json', 'no seccomp profile'],
    ['root/bin/sh', 'is not JSON'],
  ])('refuses the seccomp profile %s', async (file, message) => {
    const made = makeStep();
    const step = { ...made.step, seccomp: `${made.folder}/${file}` };
    await expect(bundle.apply(made.context, step, {})).rejects.toThrow(message);
  });

  it('refuses a program that is not there, and writes nothing', async () => {
    const { step, context } = makeStep({}, { args: ['nosuch'] });
    await expect(bundle.apply(context, step, {})).rejects.toThrow(
      'no program nosuch in the root file system',
    );
    expect(await host.status(`${step.path}/config.json`)).toBeUndefined();
  });

  it('refuses to join a container that does not run', async () => {
    const { step, context } = makeStep({ join: [{ type: 'network', container: 'db' }] });
    await expect(bundle.apply(context, step, {})).rejects.toThrow('db does not run');
  });

  it.each([
    ['missing', 'has no place in'],
    ['there', undefined],
  ])('lets no runtime make a mount point in a folder of the user: %s', async (name, message) => {
    const made = makeStep();
    const mine = makeTree({ 'there/keep': '' });
    const config = made.step.config as OciConfig;
    const mounts = [
      { destination: '/data', type: 'bind', source: mine, options: [] },
      { destination: `/data/${name}`, type: 'tmpfs', source: 'tmpfs', options: [] },
    ];
    const applied = bundle.apply(made.context, { ...made.step, config: { ...config, mounts } }, {});
    const outcome = await applied.then(
      () => undefined,
      (error: Error) => error.message,
    );
    expect(outcome?.includes(message ?? '')).toBe(message === undefined ? undefined : true);
    expect(await host.list(mine)).toEqual(['there']);
  });

  it('wants devices in a folder that is mounted on /dev', async () => {
    const made = makeStep();
    const mine = makeTree({ keep: '' });
    const config = made.step.config as OciConfig;
    const over = (source: string): BundleStep => ({
      ...made.step,
      config: { ...config, mounts: [{ destination: '/dev', type: 'bind', source, options: [] }] },
    });
    await expect(bundle.apply(made.context, over(mine), {})).rejects.toMatchObject({
      destination: '/dev',
      message: expect.stringContaining('/dev hides the devices of the container') as string,
    });
    await bundle.apply(made.context, over('/dev'), {});
  });

  it.each(['', 'x', 'null', '[]', '{}', '{"annotations":{}}'])(
    'with the text %j has drifted',
    async (text) => {
      const { step, context } = makeStep();
      await bundle.apply(context, step, {});
      await host.writeAtomic(`${step.path}/config.json`, text);
      expect(await bundle.probe(context, step)).toMatchObject({ differences: [{ found: 'edited' }] });
    },
  );

  it.each(['/proc/self/fd/8', '/work/8', '/bin/../proc/self/fd/8'])(
    'refuses the working folder %s, which the runtime would look up among its own descriptors',
    async (cwd) => {
      const { step, context, folder } = makeStep({}, { cwd });
      await host.makeSymlink('/proc/self/fd', `${folder}/root/work`);
      await expect(bundle.apply(context, step, {})).rejects.toThrow(`${cwd} leads into /proc`);
    },
  );

  it.each([
    ['/etc/passwd', '/etc/passwd is a file, not a folder'],
    ['/etc/passwd/x', '/etc/passwd/x would lie in /etc/passwd, which is a file'],
    ['/linked/x', '/linked/x leads to /etc/passwd, which is a file'],
  ])('refuses the working folder %s, through a file', async (cwd, message) => {
    const { step, context, folder } = makeStep({}, { cwd });
    await host.makeSymlink('etc/passwd', `${folder}/root/linked`);
    const refusal = { path: ['process', 'cwd'], message: `the working folder ${message}` };
    await expect(bundle.check?.(context, step, { mountpoints: '' })).rejects.toMatchObject(refusal);
  });

  it('wants the working folder to be there where nobody could make it', async () => {
    const { step, context, folder } = makeStep({}, { cwd: '/work/new' });
    await host.makeSymlink('cache', `${folder}/root/work`);
    await bundle.apply(context, step, {});
    const root = { path: step.rootfs, readonly: true };
    const sealed: BundleStep = { ...step, config: { ...step.config, root } };
    const refusal = {
      path: ['process', 'cwd'],
      message: expect.stringContaining('no folder /work/new') as string,
    };
    await expect(bundle.check?.(context, sealed, { mountpoints: '' })).rejects.toMatchObject(refusal);
    await expect(bundle.apply(context, sealed, {})).rejects.toMatchObject(refusal);
    // In what is mounted there the runtime makes it.
    const { mounts } = step.config as unknown as OciConfig;
    const tmpfs = { destination: '/cache', type: 'tmpfs', source: 'tmpfs', options: [] };
    await bundle.apply(context, { ...sealed, config: { ...sealed.config, mounts: [...mounts, tmpfs] } }, {});
    await host.makeDirectory(`${folder}/root/cache`, { mode: 0o755 });
    await host.makeDirectory(`${folder}/root/cache/new`, { mode: 0o755 });
    await bundle.apply(context, sealed, {});
  });

  it('has drifted when the spec changed or someone edited it', async () => {
    const { step, context } = makeStep();
    await bundle.apply(context, step, {});
    expect((await bundle.probe(context, { ...step, user: 'app' })).state).toBe('drifted');
    const file = `${step.path}/config.json`;
    const text = (await host.readText(file)) ?? '';
    await host.writeAtomic(file, text.replace('"noNewPrivileges":true', '"noNewPrivileges":false'));
    expect(await bundle.probe(context, step)).toMatchObject({
      state: 'drifted',
      differences: [{ found: 'edited' }],
    });
    await host.writeAtomic(file, '{');
    expect((await bundle.probe(context, step)).state).toBe('drifted');
  });
});
