// down while somebody holds a mount or the namespace: it names who, takes the rest down, and is clean once
// it was let go of.
import { describe, expect, it } from 'vitest';
import { identify, list, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { WAIT, writeSpec } from '../support/specs.ts';

/** Makes folders below `$root` until the last has a path that the kernel tells nobody, and stays there. */
const GO_DEEP = `perl -e '
  chdir shift;
  for (1..25) { mkdir "d" x 200; chdir "d" x 200 }
  $| = 1; print "ready"; exec qw(sleep 1000)' "$root"`;

/** Shell with `$name` and `$root` set; it says `ready` once it holds what it holds. */
const HOLDERS: readonly (readonly [string, string, RegExp])[] = [
  ['a working folder', 'cd "$root/etc"; echo ready; exec sleep 1000', /working folder/],
  ['an open file', 'exec 5<"$root/etc/passwd"; echo ready; exec sleep 1000', /open \S+\/etc\/passwd/],
  ['a program of it', 'echo ready; exec "$root/usr/bin/sleep" 1000', /program/],
  ['a root', 'echo ready; exec chroot "$root" /usr/bin/sleep 1000', /root/],
  [
    'a working folder in another mount namespace',
    'exec unshare --mount sh -c \'cd "$1/etc"; echo ready; exec sleep 1000\' sh "$root"',
    /working folder, in a mount namespace of its own/,
  ],
  ['a working folder too deep to have a path', `exec ${GO_DEEP}`, /its working folder\)/],
  [
    'a working folder that deep in another mount namespace',
    `exec unshare --mount ${GO_DEEP}`,
    /working folder, in a mount namespace of its own/,
  ],
  ['the network namespace', 'echo ready; exec ip netns exec "runspec-$name" sleep 1000', /runs in it/],
  [
    'the network namespace open by its name, with nobody in it',
    'exec 9<"/run/netns/runspec-$name"; echo ready; exec sleep 1000',
    /open as its file descriptor 9/,
  ],
  [
    'the network namespace open by a process that was in it',
    `nsenter --net="/run/netns/runspec-$name" sleep 1000 &
    until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
    exec 9<"/proc/$!/ns/net"; kill $!; wait $! || echo ready; exec sleep 1000`,
    /open as its file descriptor 9/,
  ],
  [
    'a mount of the network namespace elsewhere',
    'exec unshare --mount sh -c \'touch /run/held; mount --bind "/run/netns/runspec-$1" /run/held; echo ready; exec sleep 1000\' sh "$name"',
    /bound at \/run\/held in its mount namespace/,
  ],
];

describe.skipIf(!requireSystem())('down of what somebody holds', () => {
  const getHost = shareHost({
    prepare: (host) => host.output(['touch', '/run/held']),
  });
  const apply = async () => {
    const host = getHost();
    const spec = writeSpec(host, 'held', {
      network: { bridge: 'busy0', ports: ['8080:80'] },
      process: { args: WAIT, stopTimeout: '5s' },
    });
    await succeed(host, 'apply', spec.file);
    return { ...spec, root: `${host.stateDir}/${spec.name}/rootfs` };
  };
  const hold = async (script: string, name: string, root: string) => {
    const holder = await getHost().start(['sh', '-ec', `name=$1 root=$2; ${script}`, 'sh', name, root]);
    await expect.poll(holder.written, { timeout: 20_000, interval: 20 }).toContain('ready');
    return holder;
  };

  it.each(HOLDERS)('names who has %s, and takes the rest down', async (_, script, how) => {
    const host = getHost();
    const { name, root } = await apply();
    const holder = await hold(script, name, root);
    const { status, stderr } = await host.runspec('down', name);
    expect(status).toBe(1);
    expect(stderr).toMatch(/sleep \(pid \d+, /);
    expect(stderr).toMatch(how);
    expect(await host.output(['nft', 'list', 'ruleset'])).toBe('');
    expect(await host.output(['ip', 'link'])).not.toContain('busy0');
    expect((await list(host)).map((row) => [row.name, row.state])).toEqual([[name, 'absent']]);
    holder.kill('SIGKILL');
    await holder.ended;
    await succeed(host, 'down', name);
    expect(await list(host)).toEqual([]);
    expect(await host.output(['ip', 'netns'])).toBe('');
  });

  it('does not mind a mount namespace in which nobody is at work', async () => {
    const host = getHost();
    const { name, root } = await apply();
    const script = "exec unshare --mount sh -c 'echo ready; exec sleep 1000'";
    const holder = await hold(script, name, root);
    await succeed(host, 'down', name);
    // The kernel has dropped the copy with the folder.
    expect(await host.output(['sh', '-c', `cat /proc/[0-9]*/mountinfo | grep -c "${root}" || true`])).toBe(
      '0\n',
    );
    holder.kill('SIGKILL');
    await holder.ended;
  });

  it('comes up again on what a down could not take', async () => {
    const host = getHost();
    const { name, root, file } = await apply();
    const holder = await hold('cd "$root"; echo ready; exec sleep 1000', name, root);
    expect((await host.runspec('down', name)).status).toBe(1);
    await succeed(host, 'apply', file);
    await identify(host, name);
    holder.kill('SIGKILL');
    await holder.ended;
    await succeed(host, 'down', name);
  });

  it('waits for containers that share the namespace when all go together', async () => {
    const host = getHost();
    const { name } = await apply();
    const slow = `$SIG{TERM} = sub { sleep 3; exit 0 }; sleep 1000 while 1`;
    const joins = writeSpec(host, 'joins', {
      namespaces: { network: `container:${name}` },
      process: { args: ['perl', '-e', slow], stopTimeout: '10s' },
    });
    await succeed(host, 'apply', joins.file);
    const identity = await identify(host, name);
    expect(await host.runspec('down', name)).toMatchObject({
      status: 1,
      stderr: `error: ${joins.name} runs in namespaces of ${name}\n  hint: take it down as well: runspec down ${joins.name} ${name}\n`,
    });
    expect(await identify(host, name)).toBe(identity);
    await succeed(host, 'down', '--all');
    expect(await list(host)).toEqual([]);
  });
});
