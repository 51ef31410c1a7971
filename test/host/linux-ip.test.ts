// Commands of ip against the real ip, in front of which a program counts how often it is started. Needs no root: what
// would change something is refused.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createIpSessions, type IpSessions } from '../../src/host/linux-ip.ts';

const READ = ['ip', '-j', '-d', 'addr', 'show'];
const PATH = process.env['PATH'];
let folder: string;
let ip: IpSessions;

beforeAll(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-ip-'));
  const real = ['/sbin/ip', '/usr/sbin/ip', '/bin/ip'].find((file) => fs.existsSync(file)) ?? 'ip';
  const script = `#!/bin/sh\necho $$ >> ${folder}/started\nexec ${real} "$@"\n`;
  fs.writeFileSync(path.join(folder, 'ip'), script, { mode: 0o755 });
  process.env['PATH'] = `${folder}:${PATH ?? ''}`;
});
afterAll(() => {
  process.env['PATH'] = PATH;
  fs.rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  fs.writeFileSync(path.join(folder, 'started'), '');
  ip = createIpSessions();
});
afterEach(() => ip.close());

const started = (): readonly string[] =>
  fs.readFileSync(path.join(folder, 'started'), 'utf8').split('\n').filter(Boolean);

const linksIn = (stdout = ''): readonly string[] =>
  (JSON.parse(stdout) as readonly { readonly ifname: string }[]).map((link) => link.ifname);

it('answers many requests by one ip, each with its own answer', async () => {
  const batch = ip.run(['ip', '-d', '-j', '-batch', '-'], { stdin: 'link show dev lo\naddr show dev lo\n' });
  const results = await Promise.all([ip.run(READ), batch, ip.run(READ)]);
  expect(results.map((result) => result?.status)).toEqual([0, 0, 0]);
  expect(results[0]?.argv).toEqual(READ);
  expect(linksIn(results[0]?.stdout)).toContain('lo');
  expect(results[2]?.stdout).toBe(results[0]?.stdout);
  expect(results[1]?.stdout.trim().split('\n').map(linksIn)).toEqual([['lo'], ['lo']]);
  expect(started()).toHaveLength(1);
});

it('tells a failure as ip alone does, does nothing after it, and goes on with another ip', async () => {
  const lines = 'link set dev no-such-link up\nlink show dev lo\n';
  const failing = ip.run(['ip', '-batch', '-'], { stdin: lines });
  const [failed, next] = await Promise.all([failing, ip.run(READ)]);
  expect(failed).toMatchObject({
    status: 1,
    stdout: '',
    stderr: 'Cannot find device "no-such-link"\n',
  });
  expect(next?.status).toBe(0);
  expect(started()).toHaveLength(2);
});

it('leaves alone what removes something, needs quotes or is of another program', () => {
  expect(ip.run(['nft', '-j', 'list', 'tables'])).toBeUndefined();
  expect(ip.run(['ip', 'link', 'del', 'dev', 'no-such-link'])).toBeUndefined();
  expect(ip.run(['ip', '-n', 'box', '-6', 'route', 'flush', 'default'])).toBeUndefined();
  expect(ip.run(['ip', 'netns', 'delete', 'box'])).toBeUndefined();
  expect(ip.run(['ip', 'netns', 'exec', 'box', 'rm', 'file'])).toBeUndefined();
  expect(ip.run(['ip', '-batch', '-'], { stdin: 'link set dev "lo" up\n' })).toBeUndefined();
  expect(ip.run(['ip', '-batch', '-'], { stdin: 'link add a type dummy\nlink del a\n' })).toBeUndefined();
  expect(ip.run(READ, { cwd: '/' })).toBeUndefined();
});

it('asks a new ip after a removal: the one before remembers links by their names', async () => {
  await ip.run(READ);
  // A link may have the name of a verb.
  expect(ip.run(['ip', 'link', 'del', 'dev', 'add'])).toBeUndefined();
  await ip.run(READ);
  expect(started()).toHaveLength(2);
});

it('says of a namespace that is not there what nsenter says', async () => {
  const result = await ip.run(['ip', '-n', 'no-such-namespace', 'link', 'set', 'lo', 'up']);
  expect(result?.status).toBe(1);
  expect(result?.stderr).toContain('no-such-namespace');
});

it('goes on with a script in its place that reads to the end before it begins', async () => {
  const script = path.join(folder, 'ip');
  const former = fs.readFileSync(script, 'utf8');
  fs.writeFileSync(script, former.replace('exec ', 'lines=$(cat)\nprintf "%s\\n" "$lines" | '));
  try {
    for (let turn = 0; turn < 3; turn += 1) expect(linksIn((await ip.run(READ))?.stdout)).toContain('lo');
    const lines = 'link set dev no-such-link up\n';
    const failed = await ip.run(['ip', '-batch', '-'], { stdin: lines });
    expect(failed).toMatchObject({ status: 1, stderr: 'Cannot find device "no-such-link"\n' });
    expect(started()).toHaveLength(4);
  } finally {
    fs.writeFileSync(script, former);
  }
});

it('leaves no process, whether it is closed or not asked any more', async () => {
  const isGone = (pid: string): boolean => !fs.existsSync(`/proc/${pid}`);
  await ip.run(READ);
  await ip.close();
  expect(started().every(isGone)).toBe(true);
  await ip.run(READ);
  await expect.poll(() => started().every(isGone), { timeout: 10_000 }).toBe(true);
  expect(started()).toHaveLength(2);
});
