// A root file system of a few programs of this machine, for tests that change it: a folder that is copied
// by hard links, so that a copy costs nothing.
import path from 'node:path';
import type { TestHost } from './test-host.ts';

/** Programs by absolute path, with the libraries they need, and a passwd of root alone. */
export async function makeRootfs(host: TestHost, name: string, programs: readonly string[]): Promise<string> {
  const script = `
    rootfs=$1; shift
    mkdir -p "$rootfs/etc"
    cp -L --parents "$@" $(ldd "$@" | grep -o '/[^ :]*' | sort -u) "$rootfs"
    echo root:x:0:0::/:/bin/sh >"$rootfs/etc/passwd"
    echo root:x:0: >"$rootfs/etc/group"`;
  const rootfs = path.join(host.folder, name);
  await host.output(['sh', '-euc', script, 'sh', rootfs, ...programs]);
  return rootfs;
}

export async function copyRootfs(host: TestHost, from: string, to: string): Promise<string> {
  const target = path.join(path.dirname(from), to);
  await host.output(['cp', '-al', from, target]);
  return target;
}
