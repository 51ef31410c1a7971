// The Host of a fake machine, for the crash tier: each change it makes can be the one that fails, or the
// one runspec is killed in. A command it does not know throws, so that no op can pass unnoticed.
import path from 'node:path';
import { OperationError } from '../../src/errors.ts';
import type { Host } from '../../src/host/host.ts';
import { fault } from './fake/files.ts';
import type { Gate } from './fake/gate.ts';
import type { FakeMachine } from './fake/machine.ts';
import { createFakePrograms } from './fake/programs.ts';

/** Runspec's own temporary file beside one that it replaces, as a kill leaves it. */
const temporary = (file: string): string =>
  path.join(path.dirname(file), `.${path.basename(file)}.runspec-new`);

/** One runspec process on the machine; a later one finds what this one left, and its locks free. */
export function createFakeHost(machine: FakeMachine, gate: Gate): Host {
  const { files, mounts, network } = machine;
  const held = new Set<string>();
  let clock = 0;
  const refuseMountPoint = (file: string): void => {
    if (mounts.has(file)) throw fault('EBUSY', 'resource busy or locked', file);
  };
  return {
    environment: {},
    readText: (file) =>
      gate.read(() => {
        const link = /^\/sys\/class\/net\/([^/]+)\/addr_assign_type$/.exec(file)?.[1];
        if (link !== undefined) return showAssignment(network.isMacSet(link));
        if (file === '/proc/net/route') return files.read(file) ?? network.routes('inet');
        if (file === '/proc/net/ipv6_route') return network.routes('inet6');
        return file === '/proc/self/mountinfo' ? mounts.table() : files.read(file);
      }),
    readBytes: (file) =>
      gate.read(() => {
        const text = files.read(file);
        return text === undefined ? undefined : Buffer.from(text);
      }),
    status: (file) => gate.read(() => files.find(file)),
    statusOfTarget: (file) => gate.read(() => files.find(file)),
    list: (folder) => gate.read(() => files.names(folder)),
    readLink: (link) =>
      gate.read(() => {
        const target = files.target(link);
        if (target === undefined) throw fault('EINVAL', 'invalid argument', link);
        return target;
      }),
    realPath: (file) => gate.read(() => (files.find(file) === undefined ? undefined : file)),
    isWritable: (file) => gate.read(() => files.find(file) !== undefined),
    freeBytes: () => gate.read(() => 1e9),

    writeInPlace: (file, text) => gate.pass(`write ${file}`, () => files.write(file, text)),
    writeAtomic: (file, text, options) =>
      gate.pass(
        `replace ${file}`,
        () => {
          files.remove(options?.via ?? temporary(file));
          files.put(file, text, options);
        },
        () => files.put(options?.via ?? temporary(file), text.slice(0, text.length / 2)),
      ),
    append: (file, data) => {
      const text = Buffer.from(data).toString();
      const add = (more: string): void => files.put(file, (files.read(file) ?? '') + more);
      return gate.pass(
        `append to ${file}`,
        () => add(text),
        () => add(text.slice(0, text.length / 2)),
      );
    },
    setMode: (file, mode) => gate.pass(`chmod ${file}`, () => files.setMode(file, mode)),
    makeDirectory: async (folder, options) => {
      // Finding it there is no change, and cannot be the one that breaks.
      if (await gate.read(() => files.find(folder)?.type === 'directory')) return false;
      return gate.pass(`mkdir ${folder}`, () => files.makeDirectory(folder, options));
    },
    removeDirectory: async (folder) => {
      if (await gate.read(() => files.find(folder) === undefined)) return false;
      return gate.pass(`rmdir ${folder}`, () => {
        refuseMountPoint(folder);
        return files.removeDirectory(folder);
      });
    },
    removeFile: async (file) => {
      const isThere = (): boolean =>
        files.find(file) !== undefined || files.find(temporary(file)) !== undefined;
      if (!(await gate.read(isThere))) return false;
      return gate.pass(`unlink ${file}`, () => {
        refuseMountPoint(file);
        files.remove(temporary(file));
        return files.remove(file);
      });
    },
    removeTree: async (folder) => {
      if (await gate.read(() => files.find(folder) === undefined)) return false;
      const doomed = files.below(folder).toReversed();
      const removeAll = (paths: readonly string[]): void => {
        const [mount] = mounts.at(folder);
        if (mount !== undefined)
          throw new OperationError(`${folder} was not removed: ${mount} is a mount point`);
        for (const file of paths) files.drop(file);
      };
      return gate.pass(
        `remove tree ${folder}`,
        () => (removeAll(doomed), true),
        () => removeAll(doomed.slice(0, Math.floor(doomed.length / 2))),
      );
    },
    rename: (from, to) => gate.pass(`rename ${from}`, () => files.rename(from, to)),
    makeSymlink: (target, link) => gate.pass(`symlink ${link}`, () => files.makeSymlink(target, link)),

    run: createFakePrograms(machine, gate),
    spawn: (argv) => {
      throw new Error(`the fake host does not know: ${argv.join(' ')}`);
    },
    which: (program) => gate.read(() => `/usr/bin/${program}`),
    kill: () => gate.read(() => false),
    lock: async (file, _timeoutMs, onMade) => {
      if (held.has(file)) return undefined;
      const isNew = await gate.read(() => files.find(file) === undefined);
      if (isNew) {
        await gate.pass(`create ${file}`, () => files.put(file, ''));
        onMade?.();
      }
      held.add(file);
      return {
        isNew,
        release: async () => {
          await gate.read(() => held.delete(file));
        },
      };
    },
    close: async () => undefined,
    stopOptimizing: () => undefined,
    sleep: (milliseconds) => gate.read(() => void (clock += milliseconds)),
    // Set back again and again: what waited by it would not end.
    now: () => 1_700_000_000_000 - (clock += 1),
    monotonic: () => (clock += 1),
  };
}

/** linux/netdevice.h: 1 is NET_ADDR_RANDOM, 3 NET_ADDR_SET. */
function showAssignment(isSet: boolean | undefined): string | undefined {
  return isSet === undefined ? undefined : `${isSet ? 3 : 1}\n`;
}
