// What several containers may have in common when they are applied in one call, as specs before it and in it.
export interface Scene {
  readonly name: string;
  /** Specs of what is up before, in one file. */
  readonly given?: string;
  readonly work: string;
  /** Of the order of concurrent calls: each place is tried with one of them, in turn. */
  readonly seeds: readonly number[];
}

const START = `runspec: 1
rootfs: { tarball: /image.tar.gz, sha256: "${'0'.repeat(64)}" }
dns: { servers: [192.0.2.53] }
runtime: runc
`;
const DATA = 'mounts: [{ type: volume, source: data, destination: /data }]\n';
/** @param edition of the process: another one replaces it. */
const spec = (name: string, edition: number, ...more: readonly string[]): string =>
  `${START}name: ${name}
resources: { cpus: 0.5, memory: 64M, pids: 100 }
process: { args: [/bin/serve, "${edition}"], user: daemon, stopTimeout: 0s }
${more.join('')}`;
/** @param more fields of a bridge network. */
const bridge = (...more: readonly string[]): string =>
  `network: { ${['mode: bridge', ...more].join(', ')} }\n`;
const port = (host: number): string => `ports: ["${host}:80"]`;
const joining = (...namespaces: readonly string[]): string =>
  `namespaces: { ${namespaces.map((one) => one.replace(' ', ': container:')).join(', ')} }\n`;
const file = (...specs: readonly string[]): string => specs.join('---\n');

const BEFORE = ['bridge: br0', 'subnet: 10.78.0.0/24'];
const AFTER = ['bridge: br1', 'subnet: 10.77.0.0/24'];
const V4 = 'subnet: 10.78.0.0/24';
const V6 = 'subnet6: "fd00:1::/64"';

export const SCENES: readonly Scene[] = [
  {
    name: 'three for the first time, of which one joins another and shares its volume',
    seeds: [7],
    work: file(
      spec('web', 1, DATA, bridge(port(8080))),
      spec('db', 1, bridge(port(5432))),
      spec('side', 1, DATA, joining('network web', 'pid web')),
    ),
  },
  {
    name: 'two whose ports change hands, with one that has joined and must begin again',
    seeds: [3],
    given: file(
      spec('web', 1, DATA, bridge(port(8080))),
      spec('db', 1, bridge(port(5432))),
      spec('side', 1, DATA, joining('network web', 'pid web')),
    ),
    work: file(
      spec('web', 2, DATA, bridge(port(5432))),
      spec('db', 2, bridge(port(8080))),
      spec('side', 1, DATA, joining('network web', 'pid web')),
    ),
  },
  {
    name: 'all of a bridge move to another',
    seeds: [4],
    given: file(
      spec('aa', 1, bridge(...BEFORE, port(8080))),
      spec('dd', 1, bridge(...BEFORE)),
      spec('ff', 1, bridge(...BEFORE)),
    ),
    work: file(
      spec('aa', 1, bridge(...AFTER, port(8080))),
      spec('dd', 1, bridge(...AFTER)),
      spec('ff', 1, bridge(...AFTER)),
    ),
  },
  {
    name: 'one takes up IPv6 and another gives it up, beside a fresh one',
    seeds: [0, 5],
    given: file(spec('aa', 1, bridge(V4, port(8080))), spec('dd', 1, bridge(V4, V6))),
    work: file(
      spec('aa', 1, bridge(V4, V6, port(8080))),
      spec('dd', 2, bridge(V4)),
      spec('zz', 1, bridge(V4, V6)),
    ),
  },
  {
    name: 'one takes up IPv6 on the bridge of another that begins again',
    seeds: [0],
    given: file(spec('aa', 1, bridge(V4, port(8080))), spec('dd', 1, bridge(V4))),
    work: file(spec('aa', 1, bridge(V4, V6, port(8080))), spec('dd', 2, bridge(V4))),
  },
  {
    name: 'one moves away, and a fresh one takes its address and port',
    seeds: [13],
    given: file(
      spec('web', 1, bridge('address: 10.209.0.2', port(8080))),
      spec('db', 1, bridge('address: 10.209.0.3', port(5432))),
    ),
    work: file(
      spec('web', 1, bridge('address: 10.209.0.2', port(8081))),
      spec('db', 1, bridge(...AFTER, port(8080))),
      spec('new', 1, bridge('address: 10.209.0.3', port(5432))),
    ),
  },
  {
    name: 'one leaves the bridge for another while those beside it join in a chain',
    seeds: [17],
    given: file(
      spec('aa', 1, bridge(port(8080))),
      spec('bb', 1, DATA, joining('pid aa')),
      spec('cc', 1, joining('network aa', 'ipc bb')),
      spec('dd', 1, DATA, bridge(port(81))),
    ),
    work: file(
      spec('aa', 2, bridge(port(81))),
      spec('bb', 1, DATA, joining('pid aa')),
      spec('cc', 1, joining('network aa', 'ipc bb')),
      spec('dd', 2, DATA, bridge(...AFTER, port(8080))),
    ),
  },
];
