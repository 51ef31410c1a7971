// Records that are lost or damaged: what is on the host names its owner, and is found and removed by that.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { drift, find, identify, list, succeed } from '../support/containers.ts';
import { writeFullSpec } from '../support/full-spec.ts';
import { requireSystem } from '../support/requirements.ts';
import { settledSnapshot } from '../support/settle.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';
import type { TestHost } from '../support/test-host.ts';

const GARBAGE = ['', '{"version":1,"plan":{"steps":[null]}}'];

describe.skipIf(!requireSystem())('a container whose records are lost', () => {
  let before: Awaited<ReturnType<TestHost['snapshot']>>;
  let full: Awaited<ReturnType<typeof writeFullSpec>>;
  const getHost = shareHost({
    start: async (host) => {
      full = await writeFullSpec(host);
      // Layers stay in the store; what is left of a container is looked for without them.
      await succeed(host, 'apply', full.file);
      await succeed(host, 'down', '--volumes', full.name);
      before = await host.snapshot();
    },
  });
  const folder = () => path.join(getHost().dataDir, 'containers', full.name);
  const expectClean = async () => expect(await getHost().settledDiff(before)).toEqual([]);
  /** What is kept on purpose. */
  const removeKept = () => succeed(getHost(), 'down', '--volumes', full.name);

  it.each([
    ['its folder', 'gc', () => fs.rmSync(folder(), { recursive: true })],
    ['its plan', 'gc', () => fs.rmSync(path.join(folder(), 'plan.json'))],
    ['its plan', 'down', () => fs.rmSync(path.join(folder(), 'plan.json'))],
    ['its plan and shared.json', 'down', loseBoth],
    ['its plan and shared.json', 'gc', loseBoth],
  ] as const)('without %s is removed whole by %s', async (_, command, lose) => {
    const host = getHost();
    await succeed(host, 'apply', full.file);
    const unknowable = lose === loseBoth;
    lose();
    await succeed(host, ...(command === 'gc' ? ['gc'] : ['down', full.name]));
    await removeKept();
    if (unknowable) await host.output(['sysctl', '-q', '-w', 'net.ipv4.ip_forward=0']);
    if (unknowable) await restoreNetnsFolder(host);
    await expectClean();
  });

  function loseBoth(): void {
    fs.rmSync(path.join(folder(), 'plan.json'));
    fs.rmSync(path.join(getHost().dataDir, 'shared.json'));
  }

  /** What nothing tells of any more is left as it is: the mount that `ip netns add` makes as well. */
  async function restoreNetnsFolder(host: TestHost): Promise<void> {
    expect(fs.readdirSync(`/proc/${host.pid}/root/run/netns`)).toEqual([]);
    await host.output(['umount', '/run/netns']);
    await host.output(['rmdir', '/run/netns']);
  }

  it('with shared.json lost alone leaves nothing: its own record knows what was before', async () => {
    const host = getHost();
    await succeed(host, 'apply', full.file);
    fs.rmSync(path.join(host.dataDir, 'shared.json'));
    await succeed(host, 'down', '--volumes', full.name);
    await expectClean();
  });

  it.each(GARBAGE)(
    'is taken down by name with %j in its plan, which ps does not stumble over',
    async (text) => {
      const host = getHost();
      await succeed(host, 'apply', '--prove', full.file);
      fs.writeFileSync(path.join(folder(), 'plan.json'), text);
      fs.writeFileSync(path.join(folder(), 'process.json'), text);
      fs.writeFileSync(path.join(folder(), 'before.json'), text);
      // A write that was cut short.
      fs.writeFileSync(path.join(folder(), '.exit.runspec-new'), text);
      const proof = await host.runspec('down', '--prove', full.name);
      expect(proof.stderr).toMatch(/^error: /m);
      expect(proof.stderr).not.toMatch(/^\s+at /m);
      fs.writeFileSync(path.join(host.dataDir, 'shared.json'), text);
      expect((await find(host, full.name)).state).toBe('unreadable');
      for (const args of [['status'], ['logs'], ['exec', '--', 'true']]) {
        const [command = '', ...rest] = args;
        const looked = await host.runspec(command, full.name, ...rest);
        expect(looked.stderr).toContain(`the record of ${full.name} cannot be read`);
      }
      const { status, stderr } = await host.runspec('down', full.name);
      expect({ status, stderr }).toEqual({
        status: 0,
        stderr: expect.stringContaining('plan.json cannot be read: set aside') as unknown,
      });
      await removeKept();
      // No record told what they were.
      await host.output(['sysctl', '-q', '-w', 'net.ipv4.ip_forward=0']);
      await restoreNetnsFolder(host);
      await expectClean();
    },
  );

  it('is applied anew over what is left of it', async () => {
    const host = getHost();
    await succeed(host, 'apply', full.file);
    const former = await identify(host, full.name);
    fs.writeFileSync(path.join(folder(), 'plan.json'), '{');
    const { stderr } = await host.runspec('plan', full.file);
    expect(stderr).toContain('no record tells of them: apply removes them first');
    await succeed(host, 'apply', full.file);
    expect(await identify(host, full.name)).not.toBe(former);
    expect((await host.runspec('status', full.name)).status).toBe(0);
    await succeed(host, 'down', '--volumes', full.name);
    await expectClean();
  });

  it('with a folder or a fifo in the place of a record is taken down all the same', async () => {
    const host = getHost();
    await succeed(host, 'apply', full.file);
    for (const name of ['process.json', 'journal.jsonl']) {
      fs.rmSync(path.join(folder(), name), { force: true });
      fs.mkdirSync(path.join(folder(), name, 'below'), { recursive: true });
    }
    fs.rmSync(path.join(folder(), 'plan.json'));
    await host.output(['mkfifo', path.join(folder(), 'plan.json')]);
    await succeed(host, 'down', '--volumes', full.name);
    await expectClean();
  });

  it('does not take others with it', async () => {
    const host = getHost();
    const network = { bridge: 'full0', subnet: '10.71.0.0/24', mtu: 1400, ports: ['8075:80'] };
    const other = writeSpec(host, 'other', { network, process: { args: WAIT } });
    await succeed(host, 'apply', full.file);
    await succeed(host, 'apply', other.file);
    const identity = await identify(host, other.name);
    const alone = await host.snapshot();
    fs.writeFileSync(path.join(folder(), 'plan.json'), '{');
    await succeed(host, 'gc');
    expect(await identify(host, other.name)).toBe(identity);
    expect(await drift(host, other.name)).toEqual([]);
    expect((await list(host)).map((row) => row.name)).toEqual([other.name]);
    expect(alone.nft).not.toEqual((await host.snapshot()).nft);
    await succeed(host, 'down', other.name);
    fs.rmSync(other.file);
    await removeKept();
    await expectClean();
  });
});

describe.skipIf(!requireSystem())('gc', () => {
  const getHost = shareHost();

  it('says that nothing is left behind, and touches no live container', async () => {
    const host = getHost();
    const live = writeSpec(host, 'live', { network: { ports: ['8076:80'] }, process: { args: WAIT } });
    await succeed(host, 'apply', live.file);
    const identity = await identify(host, live.name);
    const up = await settledSnapshot(host);
    expect(await host.runspec('gc')).toMatchObject({ status: 0, stderr: 'nothing is left behind\n' });
    expect(await host.settledDiff(up)).toEqual([]);
    expect(await identify(host, live.name)).toBe(identity);
    await succeed(host, 'down', live.name);
  });

  it('shows first what it would remove, and then removes just that', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'shown', {
      network: { ports: ['8077:80'] },
      process: { args: WAIT },
    });
    await succeed(host, 'apply', file);
    fs.rmSync(path.join(host.dataDir, 'containers', name), { recursive: true });
    const up = await settledSnapshot(host);
    const shown = await succeed(host, 'gc', '--dry-run', '--json');
    expect(await host.settledDiff(up)).toEqual([]);
    const { objects } = JSON.parse(shown) as { objects: readonly { object: string }[] };
    expect(objects.map(({ object }) => object)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^veth rs/),
        expect.stringMatching(/^cgroup/),
        expect.stringMatching(/^process/),
        expect.stringMatching(/tcp \. 8077/),
        expect.stringMatching(/^bridge runspec0/),
      ]),
    );
    const removed = JSON.parse(await succeed(host, 'gc', '--json')) as {
      objects: readonly { object: string }[];
    };
    expect(removed.objects).toEqual(objects);
  });

  it('leaves alone what only looks like ours', async () => {
    const host = getHost();
    const script = `set -e
      ip link add runspec1 type bridge
      ip link add rs01234567 type veth peer name peer0
      ip link add theirs type veth peer name peer1
      ip link set theirs alias runspec
      ip netns add runspec-lab
      ip -n runspec-lab link add br0 type bridge
      ip netns add other-lab
      nft 'add table inet theirs; add set inet theirs ports { type inet_service; }; add element inet theirs ports { 80 comment "runspec:lab" }'`;
    await host.output(['bash', '-c', script]);
    const made = await settledSnapshot(host);
    const { status, stderr } = await host.runspec('gc');
    expect(status).toBe(0);
    expect(stderr).toContain('lab  left alone: its namespace has a link of somebody else: br0');
    expect(await host.settledDiff(made)).toEqual([]);
    await host.output([
      'bash',
      '-c',
      `ip link del runspec1; ip link del rs01234567; ip link del theirs
      ip netns del runspec-lab; ip netns del other-lab; nft delete table inet theirs; umount /run/netns; rmdir /run/netns`,
    ]);
  });

  it('leaves the containers of another data folder alone, be they up or just being made', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'abroad', {
      network: { ports: ['8078:80'] },
      process: { args: WAIT },
    });
    const [state, data] = ['state', 'data'].map((one) => path.join(host.folder, 'specs', `other-${one}`));
    const abroad = ['--state-dir', state ?? '', '--data-dir', data ?? ''];
    await succeed(host, ...abroad, 'apply', file);
    const up = await settledSnapshot(host);
    const { status, stderr } = await host.runspec('gc');
    expect(status).toBe(0);
    expect(stderr).toContain(`${name}  left alone: it is of a container in ${data}`);
    const taken = await host.runspec('apply', file);
    expect(taken.status).toBe(1);
    expect(taken.stderr).toContain(`it is of a container in ${data}`);
    expect(await host.runspec('down', name)).toMatchObject({ status: 1 });
    expect(await host.settledDiff(up)).toEqual([]);
    await succeed(host, ...abroad, 'down', name);
    // The first objects of an apply have no place yet: its lock tells.
    await host.output(['mkdir', '-p', `${data}/containers`]);
    await host.output(['ip', 'netns', 'add', `runspec-${name}`]);
    const hold = 'open(F, ">>", shift); flock(F, 2); $| = 1; print "held"; sleep 1000';
    const holder = await host.start(['perl', '-e', hold, `${data}/.lock`]);
    await expect.poll(holder.written, { timeout: 20_000 }).toContain('held');
    expect((await host.runspec('gc')).stderr).toContain(`the runspec with the lock ${data}/.lock`);
    expect(fs.readdirSync(`/proc/${host.pid}/root/run/netns`)).toEqual([`runspec-${name}`]);
    holder.kill('SIGKILL');
    await holder.ended;
    await succeed(host, 'gc');
    expect(fs.readdirSync(`/proc/${host.pid}/root/run/netns`)).toEqual([]);
    await host.output(['bash', '-c', 'umount /run/netns; rmdir /run/netns']);
  });

  it.each([
    ['on another bridge', { bridge: 'ours0' }, { bridge: 'theirs0' }],
    ['on the same', { bridge: 'both0' }, { bridge: 'both0', address: '10.209.0.77' }],
  ])(
    'and down leave what a container of another data folder needs of the host, %s',
    async (_, one, other) => {
      const host = getHost();
      const write = (base: string, network: SpecKeys) =>
        writeSpec(host, base, { network, process: { args: WAIT } });
      const [ours, theirs] = [write('ours', one), write('theirs', other)];
      const before = await host.snapshot();
      const folder = (name: string): string => path.join(host.folder, 'specs', `foreign-${name}`);
      const abroad = ['--state-dir', folder('state'), '--data-dir', folder('data')];
      await succeed(host, 'apply', ours.file);
      await succeed(host, ...abroad, 'apply', theirs.file);
      const down = await host.runspec('down', ours.name);
      expect(down).toMatchObject({ status: 0 });
      expect(down.stderr).toContain(`kept: used by ${theirs.name} of ${folder('data')}`);
      for (const args of [['gc', '--dry-run'], ['gc']]) await succeed(host, ...args);
      await succeed(host, ...abroad, 'status', theirs.name);
      await succeed(host, ...abroad, 'down', theirs.name);
      // It was on when theirs came; what it was before ours did is known in our folder.
      await succeed(host, 'gc');
      // What its image store has to keep, and the place for its mounts.
      for (const name of ['data', 'state']) fs.rmSync(folder(name), { recursive: true, force: true });
      expect(await host.settledDiff(before)).toEqual([]);
    },
  );

  it('never takes the folders of another program for records', async () => {
    const host = getHost();
    // As Podman's below /var/lib, were that the data folder.
    const storage = path.join(host.dataDir, 'containers/storage');
    fs.mkdirSync(path.join(storage, 'overlay-images'), { recursive: true, mode: 0o700 });
    fs.chmodSync(storage, 0o700);
    await succeed(host, 'gc');
    await succeed(host, 'down', 'storage');
    expect(fs.existsSync(path.join(storage, 'overlay-images'))).toBe(true);
    fs.rmSync(path.join(host.dataDir, 'containers'), { recursive: true });
  });
});
