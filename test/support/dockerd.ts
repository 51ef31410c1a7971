// Docker Engine on a test host: dockerd with a data root, a socket and a cgroup of its own.
import fs from 'node:fs';
import path from 'node:path';
import type { Started, TestHost } from './test-host.ts';

export interface Dockerd {
  /** Everything that it keeps. */
  readonly folder: string;
  /** argv of a client of it. */
  client(...args: readonly string[]): readonly string[];
  /** Standard output of a client that has to succeed. */
  docker(...args: readonly string[]): Promise<string>;
  /** Starts it, unless it runs; answers are waited for. */
  start(): Promise<void>;
  /** Process id as the machine counts; 0 before the first start. */
  pid(): number;
  stop(): Promise<void>;
}

/** For a busy machine. */
const PATIENCE_MS = 60_000;

/** `name` is that of a folder below the host's, which it makes. */
export async function placeDockerd(host: TestHost, name: string): Promise<Dockerd> {
  const folder = path.join(host.folder, name);
  fs.mkdirSync(folder, { recursive: true });
  const socket = `unix://${folder}/docker.sock`;
  const client: Dockerd['client'] = (...args) => ['/usr/bin/docker', '-H', socket, ...args];
  // It writes a key there, and nothing but the host's folder is writable.
  await host.output(['mount', '-t', 'tmpfs', 'tmpfs', '/etc/docker']);
  const args = ['--data-root', `${folder}/root`, '--exec-root', `${folder}/exec`];
  args.push('--pidfile', `${folder}/docker.pid`, '-H', socket, '--storage-driver', 'overlay2');
  args.push('--exec-opt', 'native.cgroupdriver=cgroupfs', '--log-level', 'error');
  args.push('--cgroup-parent', `/runspec/${host.name('docker')}`);
  let daemon: Started | undefined;
  // Not by the end of its output, which its containerd may keep open.
  const runs = (): boolean => daemon !== undefined && fs.existsSync(`/proc/${daemon.pid}`);
  const start = async (): Promise<void> => {
    if (runs()) return;
    daemon = await host.start(['dockerd', ...args]);
    for (const deadline = Date.now() + PATIENCE_MS; (await host.exec(client('version'))).status !== 0;) {
      if (!runs() || Date.now() > deadline)
        throw new Error(`dockerd does not start: ${daemon.written().slice(-2000)}`);
      await pause();
    }
  };
  return {
    folder,
    client,
    docker: (...words) => host.output(client(...words)),
    start,
    pid: () => daemon?.pid ?? 0,
    stop: async () => {
      if (!runs()) return;
      daemon?.kill('SIGTERM');
      for (const deadline = Date.now() + PATIENCE_MS; runs() && Date.now() < deadline;) await pause();
    },
  };
}

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));

/** What both kinds of tools say of the firewall, without counters and dates. */
export async function listRules(host: TestHost): Promise<string> {
  const saved = await host.output(['iptables-save']);
  const shown = saved.replaceAll(/\[\d+:\d+\]/g, '').replaceAll(/^#.*$/gm, '');
  return `${shown}\n${await host.output(['nft', '--stateless', 'list', 'ruleset'])}`;
}
