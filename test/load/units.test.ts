import { describe, expect, test } from 'vitest';
import { contains, formatIpv4, parseCidr, parseIp, parseIpv4 } from '../../src/load/addresses.ts';
import { parseCapability, parseSignal } from '../../src/load/names.ts';
import { overlap, parsePort } from '../../src/load/ports.ts';
import { suggest } from '../../src/load/suggest.ts';
import { parseDuration, parseMode, parseSize } from '../../src/load/units.ts';

/** The same numbers in every run, so that a failure can be repeated. */
function* numbers(count: number, limit: number): Generator<number> {
  let state = 42;
  for (let index = 0; index < count; index++) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    yield state % limit;
  }
}

describe('sizes', () => {
  test('bytes are read back as they were written', () => {
    for (const bytes of numbers(200, 2 ** 31)) {
      expect(parseSize(bytes)).toEqual({ value: bytes });
      expect(parseSize(String(bytes))).toEqual({ value: bytes });
      expect(parseSize(`${bytes}b`)).toEqual({ value: bytes });
    }
  });

  test.each([
    ['k', 1],
    ['m', 2],
    ['g', 3],
    ['t', 4],
  ])('%s is 1024 to the power of %i in every spelling', (unit, power) => {
    const spellings = [unit, `${unit}b`, `${unit}i`, `${unit}iB`, ` ${unit}`].flatMap((word) => [
      word,
      word.toUpperCase(),
    ]);
    for (const count of numbers(20, 1000)) {
      for (const spelling of spellings)
        expect(parseSize(`${count}${spelling}`)).toEqual({ value: count * 1024 ** power });
    }
  });

  test('a fraction is cut to whole bytes', () => {
    expect(parseSize('1.5k')).toEqual({ value: 1536 });
    expect(parseSize('0.0001k')).toEqual({ value: 0 });
  });

  test.each([
    '',
    'k',
    '1 2',
    '1kk',
    '1kib ',
    ' 1',
    '1e3',
    '-1',
    '+1',
    '0x10',
    '1,5k',
    '1i',
    '1 ib',
    '١',
    '1p',
    '1\n',
  ])('%j is refused', (text) => {
    expect(parseSize(text)).toHaveProperty('problem');
  });
});

describe('durations', () => {
  test('parts add up', () => {
    for (const count of numbers(100, 1000)) {
      expect(parseDuration(`${count}ms`)).toEqual({ value: count });
      expect(parseDuration(`${count}s`)).toEqual({ value: count * 1000 });
      expect(parseDuration(`1h${count}m5s`)).toEqual({ value: 3_605_000 + count * 60_000 });
    }
  });

  test.each(['', '1', 's', '1 s', '1S', '1d', '-1s', '1m 5s', '.5s', '1.s', '1s\n', '9999h'])(
    '%j is refused',
    (text) => {
      expect(parseDuration(text)).toHaveProperty('problem');
    },
  );
});

test('modes are octal', () => {
  for (const mode of numbers(100, 0o10000)) {
    expect(parseMode(mode.toString(8).padStart(4, '0'))).toEqual({ value: mode });
  }
  for (const text of ['', '7', '77', '888', '07777', '17777', '0o644', 'rwx', ' 644']) {
    const parsed = parseMode(text);
    expect(text === '07777' ? parsed : 'problem' in parsed).toEqual(
      text === '07777' ? { value: 0o7777 } : true,
    );
  }
});

describe('addresses', () => {
  test('IPv4 is read back as it was written', () => {
    for (const address of numbers(200, 2 ** 31))
      expect(parseIpv4(formatIpv4(address * 2))).toEqual({ value: address * 2 });
  });

  test('a network contains exactly the addresses with its prefix', () => {
    const subnet = parseCidr('192.168.4.0/22');
    expect(subnet).toEqual({ value: { network: 0xc0_a8_04_00, prefix: 22 } });
    if (!('value' in subnet)) return;
    expect([0xc0_a8_04_00, 0xc0_a8_07_ff].map((address) => contains(subnet.value, address))).toEqual([
      true,
      true,
    ]);
    expect([0xc0_a8_03_ff, 0xc0_a8_08_00].map((address) => contains(subnet.value, address))).toEqual([
      false,
      false,
    ]);
  });

  test.each([
    ['::FFFF:0:1', '::ffff:0:1'],
    ['2001:0db8:0:0:0:0:0:1', '2001:db8::1'],
    ['127.0.0.1', '127.0.0.1'],
  ])('%s is written %s', (text, canonical) => {
    expect(parseIp(text)).toEqual({ value: canonical });
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    ':',
    '1::2::3',
    '[::1]',
    '::1%lo',
    'g::1',
    '1.2.3.4/8',
  ])('%j is no address', (text) => {
    expect(parseIp(text)).toHaveProperty('problem');
  });
});

describe('ports', () => {
  test('two overlap when one packet could reach both, whichever comes first', () => {
    const port = (text: string): Parameters<typeof overlap>[0] => {
      const parsed = parsePort(text);
      if (!('value' in parsed)) throw new Error(parsed.problem);
      return parsed.value;
    };
    const cases: readonly (readonly [string, string, boolean])[] = [
      ['80:1', '80:2', true],
      ['80:1', '80:1/udp', false],
      ['80:1', '81:1', false],
      ['80:1', '127.0.0.1:80:2', true],
      ['0.0.0.0:80:1', '127.0.0.1:80:2', true],
      ['127.0.0.2:80:1', '127.0.0.1:80:2', false],
      ['[::1]:80:1', '[0::1]:80:2', true],
      ['[::]:80:1', '80:2', true],
    ];
    for (const [first, second, expected] of cases) {
      expect([first, second, overlap(port(first), port(second))]).toEqual([first, second, expected]);
      expect([second, first, overlap(port(second), port(first))]).toEqual([second, first, expected]);
    }
  });
});

describe('names', () => {
  test('a signal is the same by number and by name', () => {
    for (const [number, name] of [
      [1, 'SIGHUP'],
      [9, 'SIGKILL'],
      [15, 'SIGTERM'],
      [29, 'SIGIO'],
      [31, 'SIGSYS'],
    ] as const) {
      for (const spelling of [number, String(number), name, name.slice(3), name.toLowerCase()]) {
        expect(parseSignal(spelling)).toEqual({ value: name });
      }
    }
  });

  test.each(['', 'CAP_', 'SIGTERM', 'CAP_CAP_CHOWN'])('%j is no capability', (text) => {
    expect(parseCapability(text)).toHaveProperty('problem');
  });

  test.each([
    ['memroy', 'memory'],
    ['Memory', 'memory'],
    ['mem_ory', 'memory'],
    ['cpu', 'cpus'],
    ['cpuwieght', 'cpuWeight'],
    ['xyz', undefined],
    ['', undefined],
  ])('for %j %j is suggested', (word, expected) => {
    expect(suggest(word, ['cpus', 'cpuset', 'cpuWeight', 'memory', 'swap', 'pids', 'io'])).toBe(expected);
  });
});
