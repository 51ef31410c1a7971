// What scripts do that would harm the host, or give another container, if it were left out.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { expect, it } from 'vitest';
import { opOf } from '../../src/ops/index.ts';
import type { BundleStep, LayerStep, Step } from '../../src/plan/plan.ts';
import { buildConfig } from '../../src/oci/config.ts';
import type { OciConfig } from '../../src/oci/runtime-spec.ts';
import { makeInput } from '../oci/make-spec.ts';
import { makeTree } from '../runtime/scratch-root.ts';
import { STEPS } from './steps.ts';

const scriptOf = (step: Step): string => ['set -eu', ...opOf(step).toShell(step)].join('\n');
const run = (script: string) => spawnSync('sh', ['-c', script], { encoding: 'utf8' });

it('a process is put into the namespaces of other containers, or the script stops', () => {
  const folder = makeTree({ 'containers/db/bundle/other': '', 'containers/web/keep': '' });
  const text = '  "path": "/proc/@db@/ns/ipc"';
  const step: BundleStep = {
    op: 'bundle',
    id: 'bundle',
    needs: [],
    after: [],
    path: `${folder}/containers/web/bundle`,
    rootfs: `${folder}/root`,
    user: '',
    additionalGids: [],
    seccomp: 'default',
    join: [
      { type: 'ipc', container: 'db' },
      { type: 'network', container: 'db' },
    ],
    config: buildConfig(makeInput({ process: { args: ['echo', text] } })),
  };
  expect(run(scriptOf(step)).status).not.toBe(0);
  const other = spawn('sleep', ['1000']);
  try {
    fs.writeFileSync(`${folder}/containers/db/bundle/container.pid`, String(other.pid));
    expect(run(scriptOf(step))).toMatchObject({ status: 0, stderr: '' });
    const config = JSON.parse(fs.readFileSync(`${step.path}/config.json`, 'utf8')) as OciConfig;
    for (const [type, file] of [
      ['ipc', 'ipc'],
      ['network', 'net'],
    ] as const)
      expect(config.linux.namespaces).toContainEqual({ type, path: `/proc/${other.pid}/ns/${file}` });
    expect(config.process.args).toEqual(['echo', text]);
  } finally {
    other.kill();
  }
});

it('a layer is made in a store that others cannot enter, and not of an archive that deletes files', () => {
  const folder = makeTree({ 'plain/etc/motd': 'hello', 'deleting/etc/.wh.motd': '' });
  const made = (name: string) => {
    const tarball = `${folder}/${name}.tar`;
    execFileSync('tar', ['--create', '--file', tarball, '--directory', `${folder}/${name}`, 'etc']);
    const key = createHash('sha256').update(fs.readFileSync(tarball)).digest('hex');
    const path = `${folder}/data/images/layers/${key}`;
    const layer = { key, path, kind: 'tarball', tarball, sha256: key } as const;
    const step: LayerStep = { op: 'layer', id: 'layer', needs: [], after: [], layer };
    return { path, script: scriptOf(step) };
  };
  const plain = made('plain');
  expect(run(`umask 022\n${plain.script}`).status).toBe(0);
  expect(fs.readFileSync(`${plain.path}/etc/motd`, 'utf8')).toBe('hello');
  for (const path of ['images', 'images/layers'])
    expect(fs.statSync(`${folder}/data/${path}`).mode & 0o777).toBe(0o700);
  const deleting = made('deleting');
  expect(run(deleting.script)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('deletes files') as string,
  });
  expect(fs.existsSync(deleting.path)).toBe(false);
});

it('a host that forwards IPv6 goes on taking its routes from its router', () => {
  const folder = makeTree({
    'all/accept_ra': '1\n',
    'all/forwarding': '0\n',
    'told/accept_ra': '1\n',
    'told/forwarding': '0\n',
    'router/accept_ra': '1\n',
    'router/forwarding': '1\n',
  });
  const step = { ...STEPS.sysctl, key: 'net.ipv6.conf.all.forwarding', value: '1' } as const;
  const conf = `${folder}`;
  expect(run(scriptOf(step).replaceAll('/proc/sys/net/ipv6/conf', conf)).status).toBe(0);
  const read = (path: string): string => fs.readFileSync(`${folder}/${path}`, 'utf8').trim();
  expect(['all', 'told', 'router'].map((name) => read(`${name}/accept_ra`))).toEqual(['1', '2', '1']);
  expect(read('all/forwarding')).toBe('1');
});
