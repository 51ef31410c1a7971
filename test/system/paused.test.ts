// A container whose cgroup is frozen: what is said of it, and who waits for it.
import fs from 'node:fs';
import { expect, describe, it } from 'vitest';
import { find, inside, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec, type PlacedSpec } from '../support/specs.ts';

describe.skipIf(!requireSystem())('a container that is frozen', () => {
  let spec: PlacedSpec;
  const getHost = shareHost({
    start: async (host) => {
      spec = writeSpec(host, 'held');
      await succeed(host, 'apply', spec.file);
    },
  });
  /** Of both versions, where this machine has both. */
  const freezers = (): readonly (readonly [file: string, frozen: string, thawed: string])[] =>
    [
      [`/sys/fs/cgroup/freezer/runspec/${spec.name}/freezer.state`, 'FROZEN', 'THAWED'] as const,
      ...['', 'unified/'].map(
        (root) => [`/sys/fs/cgroup/${root}runspec/${spec.name}/cgroup.freeze`, '1', '0'] as const,
      ),
    ].filter(([file]) => fs.existsSync(file));

  it('is paused for ps and status, and refuses an exec at once', async () => {
    const host = getHost();
    expect(freezers()).not.toEqual([]);
    for (const [file, frozen, thawed] of freezers()) {
      const { pid } = await find(host, spec.name);
      fs.writeFileSync(file, frozen);
      expect(await find(host, spec.name)).toMatchObject({ state: 'paused', pid });
      expect((await host.runspec('ps')).stdout).toMatch(/ paused +\d/);
      expect((await host.runspec('status', spec.name)).stdout).toContain(`paused  pid ${pid}\n`);
      const { stdout } = await host.runspec('status', '--json', spec.name);
      expect(JSON.parse(stdout)).toMatchObject({ state: 'paused', pid, clean: false });
      expect(await inside(host, spec.name)(['cat', '/srv/serve'])).toMatchObject({
        status: 125,
        stdout: '',
        stderr: `error: ${spec.name} is paused\n  hint: let it go on first: echo ${thawed} >${file}\n`,
      });
      fs.writeFileSync(file, thawed);
      expect(await find(host, spec.name)).toMatchObject({ state: 'running', pid });
    }
  });

  it('by a commit makes an exec wait for that, or for Ctrl-C', async () => {
    const host = getHost();
    const commit = await host.startRunspec('commit', spec.name, '--output', `${host.folder}/specs/kept.tar`);
    const isFrozen = (): boolean =>
      freezers().some(([file, frozen]) => fs.readFileSync(file, 'utf8').trim() === frozen);
    await expect.poll(isFrozen, { timeout: 20_000, interval: 1 }).toBe(true);
    commit.kill('SIGSTOP');
    const begin = async () => {
      const exec = await host.startRunspec('exec', spec.name, '--', 'bash', '-c', 'echo hello');
      await expect.poll(exec.written, { timeout: 20_000 }).toContain('held still by a commit');
      return exec;
    };
    const interrupted = await begin();
    interrupted.kill('SIGINT');
    expect((await interrupted.ended).status).toBe(130);
    const patient = await begin();
    // The nsenter around it has stopped with it, and passes this on.
    const status = fs.readFileSync(`/proc/${commit.pid}/status`, 'utf8');
    process.kill(Number(/^PPid:\s*(\d+)$/m.exec(status)?.[1]), 'SIGCONT');
    expect((await patient.ended).status).toBe(0);
    expect(patient.written()).toContain('hello\n');
    expect((await commit.ended).status).toBe(0);
  });
});
