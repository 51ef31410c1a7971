// What the kernel shows for a sysctl, beside what was written.
import { expect, it } from 'vitest';
import { showsSysctl } from '../../src/runtime/namespace-sysctls.ts';

it.each([
  ['1024', '1024', true],
  ['1024', '1025', false],
  ['1024', '', false],
  ['2000 3000', '2000\t3000', true],
  ['2000 3000', '2000\t3001', false],
  // Only the first of several numbers is written.
  ['250', '250\t32000\t32\t128', true],
  ['251', '250\t32000\t32\t128', false],
  ['250 32000', '250', false],
  ['0x400', '1024', true],
  ['0x400', '1025', false],
  ['8080,8081,9000', '8080-8081,9000', true],
  ['9000,8080-8081', '8080-8081,9000', true],
  ['8080,8082', '8080-8082', false],
  ['8080', '8080-8081', false],
  ['8080,8081', '', false],
  ['a.b', 'a.b', true],
  ['cubic', 'reno', false],
])('%j is shown as %j: %j', (wanted, found, expected) => {
  expect(showsSysctl(wanted, found)).toBe(expected);
});
