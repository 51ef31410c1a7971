import { describe, expect, it } from 'vitest';
import { fits, optionValue, overlayOptions } from '../../src/ops/overlay-options.ts';

const base = { id: 'mount:rootfs', needs: [], after: [], op: 'overlay', target: '/run/web/rootfs' } as const;
const key = (index: number): string => index.toString(16).padStart(16, '0').repeat(4);
const layers = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `/var/lib/runspec/images/layers/${key(index)}`);
const top = '/var/lib/runspec/containers/web/mountpoints';

describe('the options of an overlay', () => {
  it('name layers by their whole paths, topmost first, where that fits', () => {
    const lower = ['/srv/a:b', '/srv/c,d\\e'];
    expect(overlayOptions({ ...base, lower })).toEqual({
      options: 'ro,index=off,lowerdir=/srv/c\\,d\\\\e:/srv/a\\:b',
      links: [],
    });
    expect(overlayOptions({ ...base, lower: [...layers(30), top] }).folder).toBeUndefined();
  });

  it.each([50, 100, 190])('name %i layers of the store by short links', (count) => {
    const step = { ...base, lower: [...layers(count), top], upper: '/up,per', work: '/work' };
    const { options, folder, links } = overlayOptions(step);
    expect(fits(options)).toBe(true);
    expect(folder).toBe('/var/lib/runspec/images');
    expect(links).toHaveLength(count);
    expect(links[3]).toEqual({ path: 'l/0000000000000003', target: `../layers/${key(3)}` });
    const lowerdir = optionValue(options, 'lowerdir')?.split(':');
    expect(lowerdir?.slice(0, 2)).toEqual([top, links.at(-1)?.path]);
    expect(optionValue(options, 'upperdir')).toBe('/up\\,per');
  });

  it('leave nothing to what a kernel was configured with', () => {
    const step = { ...base, lower: ['/srv/a'], upper: '/upper', work: '/work' };
    expect(overlayOptions(step).options).toBe(
      'index=off,redirect_dir=off,metacopy=off,lowerdir=/srv/a,upperdir=/upper,workdir=/work',
    );
  });

  it('do not fit for folders that are nowhere near the store', () => {
    const lower = Array.from({ length: 60 }, (_, index) => `/srv/${'long/'.repeat(15)}${index}`);
    expect(fits(overlayOptions({ ...base, lower }).options)).toBe(false);
  });
});
