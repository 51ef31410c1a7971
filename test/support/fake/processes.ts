// The processes of a fake machine: the runtime, conmon, and what they start, below /proc and in the cgroups; and what the
// kernel does when one of them ends.
import { PassThrough, type Duplex } from 'node:stream';
import type { Child, Host } from '../../../src/host/host.ts';
import { fault } from './files.ts';
import type { Gate } from './gate.ts';
import type { FakeMachine } from './machine.ts';

export interface FakeProcesses {
  /** The host with them, for one runspec process. */
  add(host: Host, gate: Gate): Host;
  /** @returns what brings them back to how they are now; their files are the machine's. */
  keep(): () => void;
}

/** A container's first process. */
interface Init {
  readonly container: string;
  readonly monitor: number;
  /** Where each link in its /proc/PID/ns leads. */
  readonly namespaces: Readonly<Record<string, string>>;
  /** The first process of the pid namespace that it has joined: they end together. */
  readonly joined: number | undefined;
}

/** The part of a bundle's config.json that matters here. */
interface Config {
  readonly linux: { readonly namespaces: readonly { readonly type: string; readonly path?: string }[] };
}

/** Links in /proc/PID/ns whose name is not that of the OCI specification. */
const LINKS: Readonly<Record<string, string>> = { network: 'net', mount: 'mnt' };

export function createFakeProcesses(machine: FakeMachine): FakeProcesses {
  const { files } = machine;
  const inits = new Map<number, Init>();
  /** What runspec learns of the end of a child that it waits for. */
  const endings = new Map<number, () => void>();
  // Never one twice, not even after going back: what a test has left of an earlier call must meet nobody.
  let lastPid = 200_000;
  let lastNamespace = 500_000;

  const lives = (pid: number): boolean => files.find(`/proc/${pid}`) !== undefined;
  const begin = (name: string): number => {
    const pid = (lastPid += 1);
    files.makeDirectory(`/proc/${pid}`, { mode: 0o555 });
    const stat = `${pid} (${name}) S 1 ${'0 '.repeat(17)}${pid} 0\n`;
    for (const [file, text] of Object.entries({ stat, comm: `${name}\n`, cmdline: '' }))
      files.put(`/proc/${pid}/${file}`, text, { mode: 0o444 });
    return pid;
  };
  const members = (): readonly string[] =>
    files.below('/sys/fs/cgroup').filter((file) => /\/runspec\/.*\/cgroup\.procs$/.test(file));
  /** @returns whether it was there. */
  const end = (pid: number): boolean => {
    if (!lives(pid)) return false;
    const init = inits.get(pid);
    endings.get(pid)?.();
    endings.delete(pid);
    inits.delete(pid);
    files.drop(`/proc/${pid}`);
    for (const file of members()) {
      const left = (files.read(file) ?? '').split('\n').filter((line) => line !== `${pid}`);
      files.put(file, left.join('\n'), { mode: 0o644 });
    }
    // conmon ends with what it keeps; the kernel ends all of a pid namespace with its first process.
    if (init !== undefined) end(init.monitor);
    for (const [other, { joined }] of inits) if (joined === pid) end(other);
    return true;
  };

  /** @throws Error, as the runtime does, when what it is to join is not there. */
  const join = ({ linux }: Config): Pick<Init, 'namespaces' | 'joined'> => {
    const namespaces: Record<string, string> = {};
    let joined: number | undefined;
    for (const { type, path = '' } of linux.namespaces) {
      const link = LINKS[type] ?? type;
      const other = /^\/proc\/(\d+)\/ns\//.exec(path)?.[1];
      if (path !== '' && (other === undefined ? files.find(path) === undefined : !lives(Number(other))))
        throw new Error(`cannot join ${path}: it is not there`);
      if (other !== undefined && type === 'pid') joined = Number(other);
      const theirs = other === undefined ? path : inits.get(Number(other))?.namespaces[link];
      namespaces[link] = theirs === undefined || theirs === '' ? `${link}:[${(lastNamespace += 1)}]` : theirs;
    }
    return { namespaces, joined };
  };
  /** What conmon has the runtime do: the process is there, and waits for its start. */
  const create = (container: string, bundle: string, monitor: number): number => {
    const config = JSON.parse(files.read(`${bundle}/config.json`) ?? '{}') as Config;
    const { namespaces, joined } = join(config);
    const pid = begin('runc:[2:INIT]');
    files.makeDirectory(`/proc/${pid}/ns`, { mode: 0o555 });
    for (const [link, target] of Object.entries(namespaces))
      files.makeSymlink(target, `/proc/${pid}/ns/${link}`);
    inits.set(pid, { container, monitor, namespaces, joined });
    for (const file of members())
      if (file.endsWith(`/runspec/${container}/cgroup.procs`)) files.put(file, `${pid}`, { mode: 0o644 });
    files.put(`${bundle}/monitor.pid`, `${monitor}`);
    return pid;
  };
  const start = (container: string): void => {
    const [pid] = [...inits].find(([, init]) => init.container === container) ?? [];
    if (pid === undefined) throw new Error(`container ${container} does not exist`);
    files.put(`/proc/${pid}/comm`, 'serve\n', { mode: 0o444 });
  };

  const spawn = (gate: Gate, argv: readonly string[]): Child => {
    const after = (option: string): string => argv[argv.indexOf(option) + 1] ?? '';
    const [container, bundle] = [after('--cid'), after('--bundle')];
    const [stderr, reply, goAhead] = [new PassThrough(), new PassThrough(), new PassThrough()];
    const monitor = begin('conmon');
    const answer = (data: number, message = ''): void => {
      reply.end(`${JSON.stringify({ data, message })}\n`);
    };
    const exited = new Promise<Awaited<Child['exited']>>((resolve) => {
      endings.set(monitor, () => {
        resolve({ status: undefined, signal: 'SIGKILL' });
        reply.end();
      });
      const createOrSay = async (): Promise<void> => {
        try {
          await gate.pass(`conmon creates ${container}`, () => {
            // It may have been ended meanwhile.
            if (!lives(monitor)) return;
            answer(create(container, bundle, monitor));
            resolve({ status: 0, signal: undefined });
          });
        } catch (error) {
          answer(-1, String(error));
          resolve({ status: 1, signal: undefined });
          end(monitor);
        }
      };
      goAhead.once('end', () => void (lives(monitor) && createOrSay()));
    });
    goAhead.resume();
    // One that waits ends with a runspec that is killed. (The real one may go on a while: that is for the system tier.)
    void gate.died.then(() => goAhead.writableEnded || end(monitor));
    const pipes = [undefined, undefined, stderr, reply, goAhead];
    return {
      pid: monitor,
      pipe: (fd) => pipes[fd] as Duplex,
      exited,
      kill: () => end(monitor),
      release: () => undefined,
    };
  };

  const add: FakeProcesses['add'] = (host, gate) => ({
    ...host,
    async run(argv, options) {
      if (argv[0] !== '/usr/bin/runc') return host.run(argv, options);
      const container = argv.at(-1) ?? '';
      try {
        await gate.pass(`runc ${argv.at(-2)} ${container}`, () => start(container));
      } catch (error) {
        return { argv, status: 1, stdout: '', stderr: `${String(error)}\n` };
      }
      return { argv, status: 0, stdout: '', stderr: '' };
    },
    spawn: (argv) => spawn(gate, argv),
    writeInPlace: async (file, text) => {
      await host.writeInPlace(file, text);
      if (!file.endsWith('/cgroup.procs') || !/^\d+$/.test(text) || lives(Number(text))) return;
      // A process may have ended before it is moved: the file takes nobody then.
      if (files.find(file) !== undefined) files.put(file, '', { mode: 0o644 });
      throw fault('ESRCH', 'no such process', file);
    },
    // A namespace that `ip netns add` keeps is the same file by both names.
    statusOfTarget: (file) => {
      const [, pid, link = ''] = /^\/proc\/(\d+)\/ns\/(\w+)$/.exec(file) ?? [];
      const target = inits.get(Number(pid))?.namespaces[link];
      return host.statusOfTarget(target?.startsWith('/') === true ? target : file);
    },
    kill: async (pid) => {
      await gate.read(() => undefined);
      return end(pid);
    },
    // A turn of the event loop, which the pipes need.
    sleep: async (milliseconds) => {
      await host.sleep(milliseconds);
      await new Promise((resolve) => setImmediate(resolve));
    },
  });

  return {
    add,
    keep() {
      const kept = [...inits];
      return () => {
        inits.clear();
        endings.clear();
        for (const [pid, init] of kept) inits.set(pid, init);
      };
    },
  };
}
