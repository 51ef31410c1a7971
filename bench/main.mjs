// `npm run bench`: measures runspec, and Podman beside it where there is a counterpart, in one run in a
// throw-away host, and writes docs/benchmarks.md. Needs root; installs nothing unless `--setup` is given.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeCgroups } from './cgroups.mjs';
import { createHost } from './host.mjs';
import { renderReport } from './report.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PACKAGES = {
  podman: 'podman',
  runc: 'runc',
  conmon: 'conmon',
  nft: 'nftables',
  iptables: 'iptables',
  skopeo: 'skopeo',
  umoci: 'umoci',
  'docker-registry': 'docker-registry',
};
const NETAVARK = '/usr/lib/podman/netavark';

function missingPackages() {
  const found = (program) => spawnSync('which', [program], { stdio: 'ignore' }).status === 0;
  const missing = Object.entries(PACKAGES).flatMap(([program, name]) => (found(program) ? [] : [name]));
  return existsSync(NETAVARK) ? missing : [...missing, 'netavark'];
}

function findAlpine() {
  const file =
    process.env.RUNSPEC_ALPINE ?? join(ROOT, '../shared/images/alpine-minirootfs-3.20.3-x86_64.tar.gz');
  if (existsSync(file)) return file;
  throw new Error(`no Alpine root filesystem at ${file}: set RUNSPEC_ALPINE to one`);
}

function requireAll() {
  if (process.getuid() !== 0) throw new Error('the benchmark needs root');
  const missing = missingPackages();
  if (missing.length === 0) return;
  if (!process.argv.includes('--setup')) {
    throw new Error(`not installed: ${missing.join(' ')}; npm run bench -- --setup installs them by apt-get`);
  }
  const install = ['install', '-y', '--no-install-recommends', ...missing];
  for (const args of [['update'], install]) {
    if (spawnSync('apt-get', args, { stdio: 'inherit' }).status !== 0) throw new Error('apt-get failed');
  }
}

async function main() {
  requireAll();
  const alpine = findAlpine();
  const built = spawnSync(process.execPath, [join(ROOT, 'scripts/build.mjs')], { stdio: 'inherit' });
  if (built.status !== 0) throw new Error('runspec does not build');
  const host = await createHost();
  let figures;
  try {
    // Certificates for every Node process cost it up to 100 ms; nothing here needs them.
    const { NODE_EXTRA_CA_CERTS: _, ...env } = process.env;
    const [program, ...args] = [
      ...host.enter,
      process.execPath,
      join(ROOT, 'bench/measure.mjs'),
      host.folder,
      alpine,
    ];
    const measured = spawnSync(program, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
      env,
    });
    if (measured.status !== 0) throw new Error(`measuring failed with status ${measured.status}`);
    figures = JSON.parse(measured.stdout);
  } finally {
    await host.destroy();
    removeCgroups();
  }
  const report = join(ROOT, 'docs/benchmarks.md');
  writeFileSync(report, renderReport(figures));
  process.stdout.write(readFileSync(report, 'utf8'));
  if (figures.left.length === 0) return;
  process.stderr.write(`bench: left behind:\n${figures.left.join('\n')}\n`);
  process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error.message}\n`);
  process.exitCode = 1;
}
