// Bad input on a real host, as data (test/fixtures/bad-input): the exit status, the place in the spec, the
// message, a hint, and a host that is as it was before.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { archive, entry } from '../image/write-tar.ts';
import { TEST_ENVIRONMENT, type Executed } from '../support/execute.ts';
import { hideController } from '../support/hide-controller.ts';
import { requireSystem } from '../support/requirements.ts';
import { diffSnapshots, type Snapshot } from '../support/snapshot.ts';
import { listFiles } from '../support/snapshot-files.ts';
import { createTestHost, type Started, type TestHost } from '../support/test-host.ts';

interface BadInput {
  readonly name: string;
  /** The whole spec; or, after a good spec's head, `with`; or a spec whose root is the `archive`. */
  readonly spec?: string;
  readonly with?: string;
  readonly archive?: string;
  readonly files?: Readonly<Record<string, string>>;
  /** Shell, run in the host's folder. */
  readonly setup?: string;
  readonly teardown?: string;
  readonly listen?: { readonly protocol: 'tcp' | 'udp'; readonly port: number; readonly address: string };
  /** A cgroup v1 hierarchy that the host must not have. */
  readonly hide?: string;
  readonly 'programs-without'?: readonly string[];
  readonly 'as-nobody'?: boolean;
  /** As setpriv(1) names it. */
  readonly 'without-capability'?: string;
  readonly 'data-dir'?: string;
  readonly 'state-dir'?: string;
  readonly args?: readonly string[];
  /** Left out: 1 or 2, as long as nothing is touched. */
  readonly status?: number;
  readonly message: string;
  readonly hint?: string;
}

const CLI = path.resolve(import.meta.dirname, '../../dist/cli.js');

const file = (name: string): Buffer => entry({ name, data: 'planted' });
const link = (name: string, target: string): Buffer => entry({ name, type: '2', link: target });
const hard = (name: string, target: string): Buffer => entry({ name, type: '1', link: target });

/** By the names that cases use; `outside` is a folder that no archive may reach. */
const ARCHIVES: Readonly<Record<string, (outside: string) => Buffer>> = {
  'cut short': () => archive(file('a')).subarray(0, 600),
  'gzip cut short': () => gzipSync(archive(file('a'))).subarray(0, -9),
  bzip2: () => Buffer.concat([Buffer.from('BZh91AY&SY'), Buffer.alloc(600)]),
  text: () => Buffer.from('<p>404 Not Found</p>'.repeat(60)),
  'absolute name': (outside) => archive(file(`${outside}/planted`)),
  'parent name': () => archive(file('../planted')),
  'write through a symlink': (outside) => archive(link('esc', outside), file('esc/planted')),
  'hard link outside': (outside) => archive(hard('got', `${outside}/secret`)),
  'hard link through a symlink': (outside) => archive(link('esc', outside), hard('got', 'esc/secret')),
  'block device': () => archive(entry({ name: 'dev/sda', type: '4' })),
  'character device': () => archive(entry({ name: 'dev/mem', type: '3' })),
};

const HEAD = 'runspec: 1\nname: {{name}}\nrootfs: { directory: ./rootfs }\n';
const MARK = '§';

function casesOf(name: string): readonly BadInput[] {
  const text = fs.readFileSync(path.join(import.meta.dirname, `../fixtures/bad-input/${name}.yaml`), 'utf8');
  return parse(text) as readonly BadInput[];
}

describe.skipIf(!requireSystem())('bad input', () => {
  let host: TestHost;
  beforeAll(async () => {
    host = await createTestHost();
    await makeInputs(host);
  });
  afterAll(() => host.destroy());

  describe('wrong in the text of the spec', () => {
    it.each(casesOf('spec'))('$name', (one) => expectRefusal(host, one));
  });
  describe('wrong for this machine', () => {
    it.each(casesOf('machine'))('$name', (one) => expectRefusal(host, one));
  });
  describe('wrong sources', () => {
    it.each(casesOf('sources'))('$name', (one) => expectRefusal(host, one));
  });
  describe('wrong places', () => {
    it.each(casesOf('places'))('$name', (one) => expectRefusal(host, one));
  });

  it('refuses a host port that a container has already, and leaves that container alone', async () => {
    const [holder, late] = [host.name('holder'), host.name('late')];
    const spec = (name: string): string =>
      host.write(
        `${name}.yaml`,
        `${HEAD.replace('{{name}}', name)}process: { args: [/bin/sleep, "99"], stopTimeout: 10ms }\nnetwork: { ports: ["8080:80"] }\n`,
      );
    const [first, second] = [spec(holder), spec(late)];
    const clean = await host.snapshot();
    expect(await host.runspec('apply', first)).toMatchObject({ status: 0 });
    const before = await host.snapshot();
    const result = await host.runspec('apply', second);
    expect(result).toMatchObject({ status: 2 });
    expect(result.stderr).toContain(`${second}:5:20: port 8080/tcp is published by container ${holder}`);
    expect(result.stderr).toContain('hint:');
    expect(await host.settledDiff(before)).toEqual([]);
    expect(await host.runspec('down', holder)).toMatchObject({ status: 0 });
    expect(await host.settledDiff(clean)).toEqual([]);
  });

  it('reports the problems of every file at once', async () => {
    const [one, two] = [
      host.write('one.yaml', `${HEAD.replace('{{name}}', 'one')}colour: green\nhostname: [a]\n`),
      host.write('two.yaml', `${HEAD.replace('{{name}}', 'two')}resources: { memory: much }\n`),
    ];
    const before = await host.snapshot();
    const { status, stderr } = await host.runspec('apply', one, two);
    expect(status).toBe(2);
    for (const place of [`${one}:4:1: `, `${one}:5:11: `, `${two}:4:22: `]) expect(stderr).toContain(place);
    expect(await host.settledDiff(before)).toEqual([]);
  });
});

/** A small root file system, a good archive, and a folder that must stay as it is. */
async function makeInputs(host: TestHost): Promise<void> {
  const script = `
    chmod 711 .
    mkdir -p rootfs/etc rootfs/proc outside
    cp -L --parents /bin/sleep $(ldd /bin/sleep | grep -o '/[^ ]*') rootfs
    echo root:x:0:0::/:/bin/sh >rootfs/etc/passwd
    echo root:x:0: >rootfs/etc/group
    printf '\\177ELF\\002\\001\\001' >rootfs/etc/broken
    printf '#!/nowhere/interpreter\\n' >rootfs/etc/script
    chmod 755 rootfs/etc/broken rootfs/etc/script
    echo secret >outside/secret
    tar -C rootfs -cf good.tar .`;
  await host.output(['sh', '-euc', script]);
}

async function expectRefusal(host: TestHost, one: BadInput): Promise<void> {
  const name = host.name('bad');
  const fill = (text: string): string =>
    text
      .replaceAll('{{name}}', name)
      .replaceAll('{{folder}}', host.folder)
      // A byte more than the kernel takes of one argument.
      .replaceAll('{{long}}', 'x'.repeat(131_072));
  if (one.archive !== undefined) writeArchive(host, one.archive);
  const marked = fill(one.spec ?? `${HEAD}${one.with ?? RUNNING}`);
  const specs: Record<string, string> = {
    'spec.yaml':
      one.archive === undefined ? marked : marked.replace('directory: ./rootfs', `tarball: ${MARK}./bad.tar`),
    ...Object.fromEntries(Object.entries(one.files ?? {}).map(([file, text]) => [file, fill(text)])),
  };
  for (const [file, text] of Object.entries(specs)) host.write(file, text.replace(MARK, ''));
  if (one.setup !== undefined) await host.output(['sh', '-euc', one.setup]);
  const listener = one.listen === undefined ? undefined : await listen(host, one.listen);
  const show = one.hide === undefined ? undefined : await hideController(host, one.hide);
  try {
    const before = await look(host);
    const result = await call(host, one, (one.args ?? ['apply', 'spec.yaml']).map(fill));
    const after = await settle(host, before);
    const wanted = (text: string): string => fill(text).replaceAll('{{listener}}', listener?.own ?? '');
    const places = Object.entries(specs).flatMap(([file, text]) => placeOf(file, text) ?? []);
    const complaints = [
      ...((one.status ?? result.status) === result.status && [1, 2].includes(result.status ?? 0)
        ? []
        : [`status ${result.status}`]),
      ...(new RegExp(wanted(one.message)).test(result.stderr) ? [] : [`no message ${one.message}`]),
      ...(new RegExp(`hint: .*${one.hint ?? ''}`).test(result.stderr) ? [] : [`no hint ${one.hint ?? ''}`]),
      ...(/\n {4}at |Error:/.test(result.stderr) ? ['a stack'] : []),
      ...places.flatMap((place) => (result.stderr.includes(`${place}: `) ? [] : [`no place ${place}`])),
      ...after.slice(0, 10),
    ];
    expect(complaints.length === 0 ? [] : [...complaints, result.stderr]).toEqual([]);
  } finally {
    // One that was taken after all must not spoil the cases after it.
    if (fs.existsSync(path.join(host.dataDir, 'containers'))) await host.runspec('down', '--all');
    await show?.();
    listener?.process.kill('SIGKILL');
    await listener?.process.ended;
    if (one.teardown !== undefined) await host.output(['sh', '-euc', one.teardown]);
    for (const file of Object.keys(specs)) fs.rmSync(path.join(host.folder, file));
  }
}

const RUNNING =
  'process: { args: [/bin/sleep, "99"], stopTimeout: 10ms }\nresources: { pids: 5 }\nnetwork: { ports: ["8080:80"] }\n';

/** `file:line:column` of the mark in a text. */
function placeOf(file: string, text: string): string | undefined {
  const at = text.indexOf(MARK);
  if (at < 0) return undefined;
  const lines = text.slice(0, at).split('\n');
  return `${file}:${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
}

function writeArchive(host: TestHost, name: string): void {
  const make = ARCHIVES[name];
  if (make === undefined) throw new Error(`no archive ${name}`);
  fs.writeFileSync(path.join(host.folder, 'bad.tar'), make(path.join(host.folder, 'outside')));
}

/** The store's own folders, and what it knows of archives by their sha256, may stay. */
const STORE_FOLDER = /\/images(\/(layers|tmp|refs|tags|l|locks|hashes))? folder|\/images\/hashes\//;

/** With the image store, which the snapshot of the host leaves out: nothing of a refused image stays there. */
async function look(host: TestHost): Promise<{ readonly host: Snapshot; readonly store: readonly string[] }> {
  const images = path.join(host.dataDir, 'images');
  const store = listFiles(`/proc/${host.pid}/root`, images, []).filter((line) => !STORE_FOLDER.test(line));
  return { host: await host.snapshot(), store };
}

async function settle(host: TestHost, before: Awaited<ReturnType<typeof look>>): Promise<readonly string[]> {
  const difference = await host.settledDiff(before.host);
  const { store } = await look(host);
  return [...difference, ...diffSnapshots(snapshotOf(before.store), snapshotOf(store))];
}

function snapshotOf(file: readonly string[]): Snapshot {
  return { file } as Partial<Snapshot> as Snapshot;
}

async function call(host: TestHost, one: BadInput, args: readonly string[]): Promise<Executed> {
  const place = (text: string | undefined, name: string): Record<string, string> =>
    text === undefined ? {} : { [name]: text.replaceAll('{{folder}}', host.folder) };
  const env = {
    ...place(one['data-dir'], 'RUNSPEC_DATA_DIR'),
    ...place(one['state-dir'], 'RUNSPEC_STATE_DIR'),
  };
  const nobody =
    one['as-nobody'] === true ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
  const cli = nobody.length === 0 ? CLI : copyForNobody();
  const lacking = one['without-capability'];
  const bounded = lacking === undefined ? [] : ['setpriv', `--bounding-set=-${lacking}`];
  const argv = [...nobody, ...bounded, process.execPath, cli, '--quiet', ...args];
  const without = one['programs-without'];
  if (without === undefined) {
    try {
      return await host.exec(argv, { env });
    } finally {
      if (cli !== CLI) fs.rmSync(path.dirname(cli), { recursive: true });
    }
  }
  const programs = programsWithout(without);
  try {
    return await host.exec(['env', `PATH=${programs}`, ...argv], { env });
  } finally {
    fs.rmSync(programs, { recursive: true });
  }
}

/** The checkout may lie in a folder that only its owner may enter. */
function copyForNobody(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-test-nobody-'));
  fs.chmodSync(folder, 0o755);
  const copy = path.join(folder, 'cli.js');
  fs.copyFileSync(CLI, copy);
  fs.chmodSync(copy, 0o755);
  return copy;
}

interface Listener {
  readonly process: Started;
  /** Its process id as the host counts. */
  readonly own: string;
}

async function listen(
  host: TestHost,
  { protocol, port, address }: NonNullable<BadInput['listen']>,
): Promise<Listener> {
  const script =
    protocol === 'tcp'
      ? `require('node:net').createServer().listen(${port}, '${address}', () => console.log('pid', process.pid))`
      : `require('node:dgram').createSocket('udp4').bind(${port}, '${address}', () => console.log('pid', process.pid))`;
  const started = await host.start([process.execPath, '-e', script]);
  await expect.poll(() => started.written(), { timeout: 10_000 }).toMatch(/^pid \d+\n$/);
  return { process: started, own: started.written().trim().slice(4) };
}

/** A folder that has every program of this machine but some: what PATH would be without them. */
function programsWithout(without: readonly string[]): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'runspec-programs-'));
  const places = (TEST_ENVIRONMENT['PATH'] ?? '').split(':').filter((place) => fs.existsSync(place));
  const programs = new Map(
    places
      .toReversed()
      .flatMap((place) => fs.readdirSync(place).map((name) => [name, path.join(place, name)])),
  );
  for (const [name, target] of programs) {
    if (!without.includes(name)) fs.symlinkSync(target, path.join(folder, name));
  }
  return folder;
}
