// ip, nft, mount and umount on a fake machine. Each change inside a command is one the machine can break
// at: a batch of `ip` stops half way, a transaction of nft never does.
import type { CommandResult, RunOptions } from '../../../src/host/host.ts';
import type { FakeMachine } from './machine.ts';
import { NftError } from './firewall.ts';
import type { Gate } from './gate.ts';
import { IpError } from './ip-words.ts';

export type RunProgram = (argv: readonly string[], options?: RunOptions) => Promise<CommandResult>;

const NETNS = '/run/netns';

/** A command that said no; anything else that is thrown is the test's mistake. */
class Refusal extends Error {
  override readonly name = 'Refusal';
}

export function createFakePrograms(machine: FakeMachine, gate: Gate): RunProgram {
  const programs: Readonly<Record<string, (args: readonly string[], stdin: string) => Promise<string>>> = {
    ip: (args, stdin) => runIp(machine, gate, args, stdin),
    nft: (args, stdin) => runNft(machine, gate, args, stdin),
    mount: (args) => runMount(machine, gate, args),
    umount: (args) => runUmount(machine, gate, args),
    // Nobody sends anything here: there are no flows to forget.
    conntrack: (args) => {
      if (args[0] !== '-L') throw unknown(['conntrack', ...args]);
      return gate.read(() => '');
    },
    nsenter: ([namespace = '', ...rest], stdin) => {
      const [program, ...args] = rest[0] === '--' ? rest.slice(1) : rest;
      // Of announcements, which nobody hears, no more than that they are asked for.
      if (program === 'cat') return gate.read(() => args.map(() => '0\n').join(''));
      const link = /\/([^/]+)\/disable_ipv6$/.exec(args[0] ?? '')?.[1];
      if (program === 'tee' && link !== undefined)
        return gate.pass(`tee ${args.join(' ')} in ${namespace}: ${stdin}`, () => {
          machine.network.disableIpv6(namespace.replace(`--net=${NETNS}/`, ''), link, stdin !== '0');
          return '';
        });
      if (program === 'tee') return gate.pass(`tee ${args.join(' ')} in ${namespace}: ${stdin}`, () => '');
      if (program !== 'ip') throw unknown(['nsenter', namespace, program ?? '']);
      return runIp(machine, gate, ['-n', namespace.replace(`--net=${NETNS}/`, ''), ...args], stdin);
    },
  };
  return async (argv, options = {}) => {
    const [name = '', ...args] = argv;
    const program = programs[name];
    if (program === undefined) throw unknown(argv);
    try {
      return { argv, status: 0, stdout: await program(args, options.stdin ?? ''), stderr: '' };
    } catch (error) {
      const isAnswer = error instanceof Refusal || error instanceof IpError || error instanceof NftError;
      if (!isAnswer && !(error instanceof Error && 'code' in error)) throw error;
      return { argv, status: 1, stdout: '', stderr: `${error.message}\n` };
    }
  };
}

async function runIp(
  machine: FakeMachine,
  gate: Gate,
  args: readonly string[],
  stdin: string,
): Promise<string> {
  const rest = [...args];
  let netns = '';
  let isBatch = false;
  while (rest[0]?.startsWith('-') === true) {
    const option = rest.shift();
    if (option === '-n') netns = rest.shift() ?? '';
    else if (option === '-batch' && rest.shift() === '-') isBatch = true;
    else if (option !== '-j' && option !== '-d' && option !== '-6') throw unknown(['ip', ...args]);
  }
  const commands = isBatch ? stdin.split('\n').filter((line) => line !== '') : [rest.join(' ')];
  const printed: string[] = [];
  for (const command of commands) {
    const words = command.split(' ');
    const run = (): string => machine.network.run(netns, words);
    if (words[0] === 'netns' && words[1] === 'exec' && words[3] === 'ip')
      printed.push(await runIp(machine, gate, ['-n', words[2] ?? '', ...words.slice(4)], ''));
    else if (words[0] === 'netns') printed.push(await runIpNetns(machine, gate, words.slice(1)));
    else printed.push(await (words[1] === 'show' ? gate.read(run) : gate.pass(`ip ${command}`, run)));
  }
  return printed.join('\n');
}

// iproute2 makes the file first and mounts the namespace on it: a kill in between leaves the file.
async function runIpNetns(
  { files, mounts, network }: FakeMachine,
  gate: Gate,
  words: readonly string[],
): Promise<string> {
  const [verb, name = ''] = words;
  const file = `${NETNS}/${name}`;
  if (verb === 'add') {
    if (files.find(file) !== undefined)
      throw new Refusal(`Cannot create namespace file "${file}": File exists`);
    await gate.pass(`ip netns add ${name}: folder`, () => files.makeDirectory(NETNS, { mode: 0o755 }));
    if (!mounts.has(NETNS))
      await gate.pass(`ip netns add ${name}: shared mount`, () =>
        mounts.add({ target: NETNS, type: 'ext4', source: '/dev/root', root: NETNS, propagation: 'shared' }),
      );
    await gate.pass(`ip netns add ${name}: file`, () => {
      if (files.find(NETNS) === undefined)
        throw new Refusal(`Cannot create namespace file "${file}": No such file or directory`);
      files.put(file, '', { mode: 0o444 });
    });
    await gate.pass(`ip netns add ${name}: mount`, () => {
      network.addNamespace(name);
      mounts.add({ target: file, type: 'nsfs', source: 'nsfs', root: 'net:[1]' });
    });
  } else if (verb === 'delete') {
    await gate.pass(`ip netns delete ${name}: unmount`, () => {
      if (mounts.remove(file) === undefined) network.removeNamespace(name);
    });
    await gate.pass(`ip netns delete ${name}: file`, () => {
      if (!files.remove(file))
        throw new Refusal(`Cannot remove namespace file "${file}": No such file or directory`);
    });
  } else throw unknown(['ip', 'netns', ...words]);
  return '';
}

async function runNft(
  { firewall }: FakeMachine,
  gate: Gate,
  args: readonly string[],
  stdin: string,
): Promise<string> {
  const words = args.join(' ');
  if (words === '-f -') {
    await gate.pass(`nft ${stdin.split('\n')[0] ?? ''}`, () => firewall.load(stdin));
    return '';
  }
  if (words === '-j list chains; list tables')
    return gate.read(() => `${firewall.listChains()}\n${firewall.listTables()}`);
  const [, family, table] = /^-j list table (inet|netdev) (\S+)$/.exec(words) ?? [];
  if (family === undefined || table === undefined) throw unknown(['nft', ...args]);
  return gate.read(() => firewall.list(family, table));
}

// mount(8) binds first and changes the propagation after.
async function runMount(
  { files, mounts }: FakeMachine,
  gate: Gate,
  args: readonly string[],
): Promise<string> {
  const target = args.at(-1) ?? '';
  if (files.find(target) === undefined) throw new Refusal(`mount: ${target}: mount point does not exist.`);
  const propagation = args.includes('--make-shared')
    ? 'shared'
    : args.includes('--make-private')
      ? 'private'
      : undefined;
  if (args[0] === '--bind') {
    const source = args.at(-2) ?? '';
    const inherited = mounts.isShared(source) ? 'shared' : 'private';
    await gate.pass(`mount --bind ${target}`, () =>
      mounts.add({ target, type: 'ext4', source: '/dev/root', root: source, propagation: inherited }),
    );
  } else if (args[0] === '-t' && args[1] === 'overlay') {
    await gate.pass(`mount overlay ${target}`, () =>
      mounts.add({ target, type: 'overlay', source: 'overlay', options: `rw,${args[3] ?? ''}` }),
    );
  } else if (propagation === undefined) throw unknown(['mount', ...args]);
  if (propagation !== undefined) {
    await gate.pass(`mount --make-${propagation} ${target}`, () =>
      mounts.setPropagation(target, propagation),
    );
  }
  return '';
}

async function runUmount({ mounts }: FakeMachine, gate: Gate, args: readonly string[]): Promise<string> {
  const [target = ''] = args;
  if (args.length !== 1 || target.startsWith('-')) throw unknown(['umount', ...args]);
  await gate.pass(`umount ${target}`, () => {
    const complaint = mounts.remove(target);
    if (complaint !== undefined) throw new Refusal(complaint);
  });
  return '';
}

function unknown(argv: readonly string[]): Error {
  return new Error(`the fake host does not know: ${argv.join(' ')}`);
}
