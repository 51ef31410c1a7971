// Inside the throw-away host: every round runs each command once, in turn, so that whatever else the machine
// does meets all alike. Prints the figures as JSON. Arguments: the host's folder, the Alpine archive.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { listCgroups, PREFIX } from './cgroups.mjs';
import { measureImages } from './images.mjs';
import { heldSince, measureProcesses } from './memory.mjs';
import { createPodman } from './podman.mjs';
import { createRunspec } from './runspec.mjs';

const ROUNDS = 10;
const BATCH = 20;
const IDLE = 5;
const NGINX = fileURLToPath(new URL('../specs/nginx.yaml', import.meta.url));

const [folder, alpine] = process.argv.slice(2);
const runspec = createRunspec(join(folder, 'data/runspec'), alpine);
const podman = createPodman(join(folder, 'data/podman'), alpine);
const env = { ...process.env, ...runspec.env, ...podman.env };
const samples = {};

/** Milliseconds of a command that has to succeed. */
function time([program, ...args]) {
  const started = performance.now();
  const { status, stderr, error } = spawnSync(program, args, {
    env,
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const milliseconds = performance.now() - started;
  if (status === 0) return milliseconds;
  throw new Error(`${[program, ...args].join(' ')}: ${error?.message ?? stderr.toString()}`);
}

function sample(name, ...commands) {
  const total = commands.reduce((sum, command) => sum + time(command), 0);
  (samples[name] ??= []).push(total);
}

const output = ([program, ...args]) => spawnSync(program, args, { env, encoding: 'utf8' }).stdout.trim();

/** What runspec could leave behind, as lines of text. */
function snapshot() {
  const list = (path) => (existsSync(path) ? readdirSync(path).map((name) => `${path}/${name}`) : []);
  return [
    ...output(['ip', '-brief', 'link'])
      .split('\n')
      .map((line) => `link ${line.split(/[\s@]/)[0]}`),
    ...output(['nft', 'list', 'tables']).split('\n'),
    ...readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => `mount ${line.split(' ')[4]}`),
    ...list('/run/netns'),
    ...list(runspec.env.RUNSPEC_STATE_DIR),
    ...list(join(runspec.env.RUNSPEC_DATA_DIR, 'containers')),
    ...readFileSync('/proc/sys/net/ipv4/ip_forward', 'utf8')
      .split('\n')
      .map((value) => `ip_forward ${value}`),
    ...[...measureProcesses().keys()].map((pid) => `process ${pid}`),
    ...listCgroups(),
  ];
}

function leftOver(before) {
  const known = new Set(before);
  return snapshot().filter((line) => !known.has(line));
}

const names = Array.from({ length: BATCH }, (_, index) => `${PREFIX}${index}`);
const ports = names.map((_, index) => 18_080 + index);
const specs = names.map((name, index) => runspec.writeSpec(name, ports[index]));
const [name, port, spec] = [names[0], ports[0], specs[0]];
const say = (text) => process.stderr.write(`bench: ${text}\n`);

say('warming up: images are unpacked, caches filled');
time(podman.importImage);
const clean = snapshot();
time(runspec.apply(spec));
time(runspec.down(name));
const left = leftOver(clean);
time(podman.run(name, port));
time(podman.remove(name));

for (let round = 1; round <= ROUNDS; round += 1) {
  say(`round ${round} of ${ROUNDS}`);
  // Several of the short ones, in turn: a single millisecond matters here.
  for (let turn = 0; turn < 3; turn += 1) {
    sample('node', [process.execPath, '-e', '0']);
    sample('version', runspec.cli('--version'));
    sample('plan', runspec.cli('plan', NGINX));
  }
  sample('apply', runspec.apply(spec));
  sample('again', runspec.apply(spec));
  sample('down', runspec.down(name));
  sample('podmanRun', podman.run(name, port));
  sample('podmanRemove', podman.remove(name));
}
for (let round = 1; round <= ROUNDS; round += 1) {
  say(`round ${round} of ${ROUNDS} with ${BATCH} containers`);
  sample('applyMany', runspec.apply(...specs));
  sample('downMany', runspec.down(...names));
  sample('podmanRunMany', ...names.map((one, index) => podman.run(one, ports[index])));
  sample('podmanRemoveMany', podman.remove(...names));
}

say(`memory of ${IDLE} idle containers`);
const memory = { runspec: [], podman: [] };
const idle = names.slice(0, IDLE);
for (let round = 1; round <= ROUNDS; round += 1) {
  // Podman has left its own tables and ip_forward by now.
  const untidy = snapshot();
  let before = measureProcesses();
  time(runspec.apply(...specs.slice(0, IDLE)));
  memory.runspec.push(heldSince(before, IDLE));
  time(runspec.down(...idle));
  left.push(...leftOver(untidy));
  before = measureProcesses();
  for (const [index, one] of idle.entries()) time(podman.run(one, ports[index]));
  memory.podman.push(heldSince(before, IDLE));
  time(podman.remove(...idle));
}

const images = await measureImages({
  folder: join(folder, 'data/images'),
  alpine,
  runspec,
  env,
  time,
  sample: (name, milliseconds) => (samples[name] ??= []).push(milliseconds),
  say,
});

const firstLine = (argv) => output(argv).split('\n')[0];
const machine = {
  date: new Date().toISOString().slice(0, 10),
  cpu: `${os.cpus().length} × ${os.cpus()[0]?.model.trim() ?? 'unknown'}`,
  memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
  kernel: os.release(),
  load: os.loadavg()[0].toFixed(1),
  versions: [
    `Node ${process.versions.node}`,
    `runspec ${output(runspec.cli('--version'))}`,
    firstLine(['podman', '--version']),
    firstLine(['runc', '--version']),
    firstLine(['conmon', '--version']),
    firstLine(['/usr/lib/podman/netavark', '--version']),
    firstLine(['nft', '--version']),
    firstLine(['skopeo', '--version']),
    firstLine(['umoci', '--version']),
  ],
};
process.stdout.write(
  JSON.stringify({ machine, rounds: ROUNDS, batch: BATCH, idle: IDLE, samples, memory, images, left }),
);
