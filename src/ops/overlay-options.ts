// The options of an overlay mount. The kernel takes one page of them: when whole paths of the layers do not fit,
// layers of the store go by short links beside them, seen from the store's folder. Pure.
import type { OverlayStep } from '../plan/plan.ts';

/** Bytes of a page, less the final zero and what mount(8) adds; another number would make running mounts drifted. */
const ROOM = 4010;

/** Digits of a key that name its link: as good as unique among the layers of one machine, and checked besides. */
const DIGITS = 16;

type Stack = Pick<OverlayStep, 'lower' | 'upper' | 'work'>;

export interface OverlayOptions {
  readonly options: string;
  /** Folder that relative paths in `options` start from; absent: all are absolute. */
  readonly folder?: string;
  /** Links to make, with paths below `folder`. */
  readonly links: readonly { readonly path: string; readonly target: string }[];
}

/** @param step without `upper` and `work` the mount is read-only. */
export function overlayOptions(step: Stack): OverlayOptions {
  const whole = render(step, step.lower);
  if (fits(whole)) return { options: whole, links: [] };
  const places = step.lower.map(placeInStore);
  const folder = places.find((place) => place !== undefined)?.store;
  if (folder === undefined) return { options: whole, links: [] };
  const short = places.map((place) => (place?.store === folder ? place : undefined));
  return {
    options: render(
      step,
      step.lower.map((path, index) => short[index]?.link ?? path),
    ),
    folder,
    links: short.flatMap((place) =>
      place === undefined ? [] : [{ path: place.link, target: `../layers/${place.key}` }],
    ),
  };
}

export function fits(options: string): boolean {
  return Buffer.byteLength(options) <= ROOM;
}

function placeInStore(
  path: string,
): { readonly store: string; readonly key: string; readonly link: string } | undefined {
  const [, store, key] = /^(.*)\/layers\/([0-9a-f]{64})$/.exec(path) ?? [];
  if (store === undefined || key === undefined) return undefined;
  return { store, key, link: `l/${key.slice(0, DIGITS)}` };
}

function render({ upper, work }: Stack, lower: readonly string[]): string {
  // The kernel takes the topmost layer first.
  const lowerdir = lower.toReversed().map(escapeOption).join(':');
  // An index (CONFIG_OVERLAY_FS_INDEX makes it the default) ties a writable layer to the layers that it was first
  // mounted over, and refuses it while a copy of its mount lives on in another mount namespace. nfs_export needs an
  // index, and is off without one.
  if (upper === undefined || work === undefined) return `ro,index=off,lowerdir=${lowerdir}`;
  // redirect_dir and metacopy, the default of some kernels as well, would make a renamed folder, or a file that got
  // another owner, a mere mark in the writable layer, which `diff` and `commit` could not tell from the thing itself.
  return `index=off,redirect_dir=off,metacopy=off,lowerdir=${lowerdir},upperdir=${escapeOption(upper)},workdir=${escapeOption(work)}`;
}

/** overlayfs splits lowerdir at `:` and options at `,`; a backslash takes both literally. */
export function escapeOption(path: string): string {
  return path.replaceAll(/[\\:,]/g, (character) => `\\${character}`);
}

/** The value of an option among others, as it was given. */
export function optionValue(options: string, name: string): string | undefined {
  return options
    .split(/(?<!\\),/)
    .find((option) => option.startsWith(`${name}=`))
    ?.slice(name.length + 1);
}
