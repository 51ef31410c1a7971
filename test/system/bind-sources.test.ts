// A bind's source that means something else by now: status and plan say so, and a new process gets what it means. A source that
// is what it was is never taken for another one, wherever it lies and whatever lies over it.
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { drift, find, identify, inside, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { SPECS, WAIT, writeSpec, type SpecKeys } from '../support/specs.ts';

const PROCESS = { args: WAIT, stopTimeout: '0s' };

describe.skipIf(!requireSystem())('the source of a bind', () => {
  const getHost = shareHost();
  const start = async (base: string, keys: SpecKeys) => {
    const spec = writeSpec(getHost(), base, { process: PROCESS, ...keys });
    await succeed(getHost(), 'apply', spec.file);
    return spec;
  };
  const sh = (script: string): Promise<string> =>
    getHost().output([
      'sh',
      '-ec',
      `mkdir -p "$1"; cd "$1"; ${script}`,
      'sh',
      path.join(getHost().folder, SPECS),
    ]);
  const read = async (name: string, file: string): Promise<string> =>
    (await inside(getHost(), name)(['cat', file])).stdout;

  /** What is done to each, where it is, and a file of it in the container. */
  const CHANGES: readonly (readonly [script: string, source: string, file: string])[] = [
    ['ln -sfn rel2 current', 'current', '/current/version'],
    ['mv rel1 old; cp -a rel2 rel1', 'rel1', '/rel1/version'],
    ['mv above was-above; cp -a other above', 'above/rel1', '/above/rel1/version'],
    ['mount --bind rel2 covered', 'covered', '/covered/version'],
    ['mv conf conf.old; echo 2 >conf', 'conf', '/conf'],
    ['ln -sfn rel2/version link', 'link', '/link'],
  ];

  it('is seen to be another one, and a new process gets that', async () => {
    const host = getHost();
    await sh(
      'mkdir -p rel1 rel2 above/rel1 other/rel1 covered; echo 2 | tee rel2/version >other/rel1/version',
    );
    await sh('echo 1 | tee rel1/version above/rel1/version covered/version >conf');
    await sh('ln -s rel1 current; ln -s rel1/version link');
    const mounts = CHANGES.map(([, source]) => `./${source}:/${source}`);
    const { name, file: spec } = await start('web', { mounts });
    const before = await identify(host, name);
    expect(await drift(host, name)).toEqual([]);
    for (const [script] of CHANGES) await sh(script);
    expect(await drift(host, name)).toEqual(['process drifted']);
    const { stdout } = await host.runspec('plan', spec);
    for (const [, source, file] of CHANGES) {
      const place = path.join(host.folder, SPECS, source);
      const reason = `mount /${source}: what ${place} was when the process started -> what it is now`;
      expect(stdout).toContain(reason);
      expect(await read(name, file)).toBe('1\n');
    }
    await succeed(host, 'apply', spec);
    expect(await identify(host, name)).not.toBe(before);
    for (const [, , file] of CHANGES) expect(await read(name, file)).toBe('2\n');
    expect(await drift(host, name)).toEqual([]);
    await succeed(host, 'down', name);
    await sh('umount covered');
  });

  // By system calls, as the container has no mount(8): mount(2) with MS_REMOUNT | MS_BIND, umount2(2) with MNT_DETACH.
  it.each([
    ['that was made writable', '/fixed', 'writable, not read-only', [40, 165], '0, $at, 0, 0x1020, 0'],
    ['of the runtime that was lost', '/dev/mqueue', 'not mounted in the container', [39, 166], '$at, 2'],
  ] as const)('%s is seen, and a new process gets it as it was', async (_, at, found, [arm64, x64], args) => {
    const host = getHost();
    await sh('mkdir -p fixed');
    const { name, file } = await start('fixed', {
      mounts: [{ type: 'bind', source: './fixed', destination: '/fixed', readOnly: true }],
    });
    const before = await identify(host, name);
    const { pid } = await find(host, name);
    const call = process.arch === 'arm64' ? arm64 : x64;
    const script = `my $at = "${at}"; syscall(${call}, ${args}) == 0 or die $!`;
    await host.output(['nsenter', '--target', String(pid), '--mount', 'perl', '-e', script]);
    expect(await drift(host, name)).toEqual(['process drifted']);
    expect((await host.runspec('status', name)).stdout).toContain(`mount ${at}: ${found}`);
    await succeed(host, 'apply', file);
    expect(await identify(host, name)).not.toBe(before);
    expect(await drift(host, name)).toEqual([]);
    await succeed(host, 'down', name);
  });

  it('is seen to be gone, and is the same again once it is back', async () => {
    const host = getHost();
    await sh('mkdir data');
    const { name } = await start('gone', { mounts: ['./data:/data'] });
    await sh('mv data away');
    expect(await drift(host, name)).toEqual(['process drifted']);
    expect((await host.runspec('status', name)).stdout).toMatch(
      /mount \/data: what \S+\/data was when the process started, not what it is now, nothing\n/,
    );
    await sh('mv away data');
    expect(await drift(host, name)).toEqual([]);
    await succeed(host, 'down', name);
    await sh('rmdir data');
  });

  const SAME: readonly string[] = [
    'tree',
    'tmp',
    'tmp/sub',
    'tmp/fifo',
    'tmp/link',
    'over',
    'over/sub',
    'over/file',
    'plain',
    'plain/file',
    'socket',
    'stack',
    'mask',
    'mask/inner',
  ];

  it('is the same as long as it is, whatever it is and lies in', async () => {
    const host = getHost();
    await sh(
      'mkdir -p tree/sub tmp lower upper work over plain mask/inner; echo 1 | tee plain/file >lower/file',
    );
    await sh('mount -t tmpfs tmpfs tmp; mkdir tmp/sub; mount -t tmpfs inner tree/sub; mkfifo tmp/fifo');
    await sh('mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work over; mkdir over/sub');
    await sh('perl -MSocket -e \'socket S, AF_UNIX, SOCK_STREAM, 0; bind S, sockaddr_un "socket"\'');
    await sh(
      'ln -s ../plain/file tmp/link; mkdir -p stack; mount --bind plain stack; mount --bind tmp stack',
    );
    const { name, file } = await start('same', {
      rootfs: { host: { files: ['/bin/cat', '/usr/bin/perl'] }, readonly: true },
      mounts: [
        ...SAME.map((source) => `./${source}:/mnt/${source.replaceAll('/', '-')}`),
        './plain:/read/only:ro',
        '/dev/null:/null',
        '/sys/kernel:/mnt/kernel:ro',
        '/proc/uptime:/uptime',
        '/proc/sys/net/core/somaxconn:/backlog',
        'data:/mnt/volume',
      ],
      // One hides what is mounted there, the other is what is mounted there once more.
      security: {
        maskedPaths: ['/mnt/mask', '/mnt/plain-file'],
        readonlyPaths: ['/mnt/plain', '/mnt/tmp-sub'],
      },
    });
    const before = await identify(host, name);
    // Copied up, written to, and its neighbours made anew: the same file all the same.
    await sh(
      'echo 2 >>over/file; echo 3 >>plain/file; chmod 700 plain; rm tmp/link; ln -s ../plain/file tmp/link',
    );
    expect(await drift(host, name)).toEqual([]);
    expect(await succeed(host, 'apply', '--json', file)).toMatch(/"changed":0/);
    expect(await identify(host, name)).toBe(before);
    await succeed(host, 'down', name);
    await sh(
      'umount stack stack tree/sub over tmp; rm -r tree tmp lower upper work over plain mask socket stack',
    );
  });
});
