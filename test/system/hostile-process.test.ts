// What the process of a container can do from within, with the capabilities it has by default or with NET_ADMIN: the
// host keeps its routes, and every later command on the container works and shows nothing that a terminal obeys.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { drift, identify, inside, succeed } from '../support/containers.ts';
import { requireSystem } from '../support/requirements.ts';
import { shareHost } from '../support/shared-host.ts';
import { writeSpec, type PlacedSpec } from '../support/specs.ts';

const DEADLINE = { timeout: 30_000, interval: 100 };

/** Says three times by its interface that it is a router: ICMPv6 type 134, hop limit 255, to all nodes. */
const ADVERTISE = `
  open(my $file, '<', '/sys/class/net/eth0/ifindex'); my $index = <$file>;
  socket(my $socket, 10, 3, 58) or die $!;
  setsockopt($socket, 41, 18, pack('i', 255)) or die $!;
  setsockopt($socket, 41, 17, pack('i', $index)) or die $!;
  my $to = pack('S n N a16 L', 10, 0, 0, "\\xff\\x02" . "\\0" x 13 . "\\x01", $index);
  my $text = pack('C C n C C n N N', 134, 0, 0, 64, 0, 1800, 0, 0);
  my $sent = 0;
  for (1 .. 300) {
    # Not before its own address is known to be nobody else's.
    $sent++ if defined send($socket, $text, 0, $to);
    last if $sent == 3;
    select undef, undef, undef, 0.1;
  }
  print $sent;`;

/** What a terminal may take for an order. */
const CONTROL = /(?!\n)\p{Cc}/u;

describe.skipIf(!requireSystem())('a hostile process', () => {
  let web: PlacedSpec;
  let admin: PlacedSpec;
  const getHost = shareHost({
    start: async (host) => {
      const { args, stopTimeout } = { args: ['perl', '-e', 'sleep 1000 while 1'], stopTimeout: '10ms' };
      web = writeSpec(host, 'web', { network: { ipv6: false }, process: { args, stopTimeout } });
      const capabilities = { add: ['NET_ADMIN'] };
      admin = writeSpec(host, 'admin', { network: {}, process: { args, stopTimeout, capabilities } });
      await succeed(host, 'apply', web.file, admin.file);
    },
  });
  const inWeb = (script: string) => inside(getHost(), web.name)(['perl', '-e', script]);
  const everyLook = (spec: PlacedSpec) => [
    ['status', spec.name],
    ['status', '--json', spec.name],
    ['plan', spec.file],
    ['ps'],
    ['diff', spec.name],
  ];

  it.each(['bridge', 'veth'])('does not become the router of the host in mode %s', async (mode) => {
    const host = getHost();
    const spec = mode === 'bridge' ? web : writeSpec(host, 'pair', { network: { mode, ipv6: false } });
    if (spec !== web) await succeed(host, 'apply', spec.file);
    const heard = await host.start(['perl', '-e', LISTEN]);
    await expect.poll(() => heard.written(), DEADLINE).toContain('ready');
    const { stdout } = await inside(host, spec.name)(['perl', '-e', ADVERTISE]);
    expect(stdout).toBe('3');
    await expect.poll(() => heard.written(), DEADLINE).toContain('heard');
    expect(await host.output(['ip', '-6', 'route', 'show', 'default'])).toBe('');
    if (spec !== web) await succeed(host, 'down', spec.name);
  });

  it('that makes /etc/hosts larger than memory only drifts', async () => {
    const host = getHost();
    const before = await identify(host, web.name);
    expect((await inWeb('truncate "/etc/hosts", 3e9 or die $!')).status).toBe(0);
    for (const args of everyLook(web)) expect((await host.runspec(...args)).stderr).toBe('');
    expect((await drift(host, web.name)).join()).toMatch(/etc\/hosts drifted/);
    await succeed(host, 'apply', web.file);
    expect(await drift(host, web.name)).toEqual([]);
    expect(await identify(host, web.name)).toBe(before);
  });

  it('says nothing to the terminal of whoever looks at it', async () => {
    const host = getHost();
    await inWeb('open F, ">", "/etc/hosts"; print F "\\e]0;owned\\a\\xc2\\x9b31m\\e[2J"');
    for (const args of [...everyLook(web), ['apply', web.file]]) {
      const { stdout, stderr } = await host.runspec(...args);
      expect(stdout + stderr).not.toMatch(CONTROL);
    }
  });

  it('cannot lead a lookup of exec to what the host has in /proc', async () => {
    const host = getHost();
    await inWeb('mkdir "/opt"; symlink "/proc/self/exe", "/opt/exe"; symlink "/proc/self/fd", "/opt/fd"');
    for (const program of ['/opt/exe', '/proc/self/exe', '/opt/fd/0']) {
      const { stderr } = await host.runspec('exec', web.name, '--', program);
      expect(stderr).not.toMatch(/^\s+at /m);
    }
    for (const cwd of ['/opt/fd/8', '/proc/self/fd/8', '/proc/../opt/fd']) {
      const { status, stderr } = await host.runspec('exec', '--cwd', cwd, web.name, '--', 'ls');
      expect(status).toBe(125);
      expect(stderr).toContain('leads into /proc');
    }
  });

  it('that makes paths of any length stops nobody', async () => {
    const host = getHost();
    const { file, name } = writeSpec(host, 'long', {
      process: { args: ['perl', '-e', 'sleep 1000 while 1'], stopTimeout: '0s' },
      mounts: ['/outer', '/outer/in/ner'].map((destination) => ({ type: 'tmpfs', destination })),
    });
    await succeed(host, 'apply', file);
    const script = `rename "/outer/in", "/outer/other"; symlink "x" x 300, "/outer/in";
      for (1 .. 1500) { mkdir "deep" or die $!; chdir "deep" or die $! }`;
    expect((await inside(host, name)(['perl', '-e', script])).status).toBe(0);
    expect((await drift(host, name)).join()).toMatch(/process drifted/);
    expect((await host.runspec('exec', '--cwd', '/outer/in/ner', name, '--', 'true')).stderr).toContain(
      'no folder',
    );
    for (const args of [
      ['diff', name],
      ['commit', name, '--output', path.join(host.folder, 'specs/long.tar')],
    ]) {
      const { status, stderr } = await host.runspec(...args);
      expect(status).toBe(1);
      expect(stderr).toMatch(
        /there are folders in folders beyond what a path below \S+ can name: (?:deep\/)+/,
      );
    }
    await succeed(host, 'apply', file, web.file);
    await succeed(host, 'down', name);
  });

  it('that gives its interface another name is put right', async () => {
    const host = getHost();
    const netns = ['ip', '-n', `runspec-${admin.name}`];
    await host.output([...netns, 'link', 'set', 'dev', 'eth0', 'down']);
    await host.output([...netns, 'link', 'set', 'dev', 'eth0', 'name', `-'"\\[{\u0001\u001b[31m`]);
    for (const args of everyLook(admin)) {
      const { stdout, stderr } = await host.runspec(...args);
      expect(stderr).toBe('');
      expect(stdout).not.toMatch(CONTROL);
    }
    await succeed(host, 'apply', admin.file);
    expect(await drift(host, admin.name)).toEqual([]);
  });

  it('that deletes its interface gets it back', async () => {
    const host = getHost();
    await host.output(['ip', '-n', `runspec-${admin.name}`, 'link', 'del', 'dev', 'eth0']);
    expect((await drift(host, admin.name)).join()).toContain('veth:eth0');
    await succeed(host, 'apply', admin.file);
    expect(await drift(host, admin.name)).toEqual([]);
  });

  it('whose bundle a disk has damaged is seen as that, and made anew', async () => {
    const host = getHost();
    const config = path.join(host.dataDir, 'containers', web.name, 'bundle/config.json');
    for (const text of ['', '{}']) {
      fs.writeFileSync(config, text);
      for (const args of everyLook(web).slice(0, 3)) expect((await host.runspec(...args)).stderr).toBe('');
      const { status, stderr } = await host.runspec('exec', web.name, '--', 'ls');
      expect([status, stderr]).toEqual([125, expect.stringContaining('apply it again')]);
    }
    await succeed(host, 'apply', web.file);
    expect(await drift(host, web.name)).toEqual([]);
  });

  it('does not pass for one of other folders by what it is called with', async () => {
    const host = getHost();
    const args = ['bash', '-c', 'sleep 1000; :', `/elsewhere/containers/${host.name('liar')}/bundle`];
    const { file, name } = writeSpec(host, 'liar', { process: { args, stopTimeout: '10ms' } });
    await succeed(host, 'apply', file);
    fs.writeFileSync(path.join(host.dataDir, 'containers', name, 'plan.json'), '{');
    await succeed(host, 'down', name);
    expect((await host.runspec('ps')).stdout).not.toContain(name);
  });
});

/** Waits for a router advertisement that reaches this host by any link. */
const LISTEN = `
  $| = 1;
  socket(my $socket, 10, 3, 58) or die $!;
  print "ready\\n";
  while (defined recv($socket, my $text, 2048, 0)) {
    if (ord $text == 134) { print "heard\\n"; exit 0 }
  }`;
