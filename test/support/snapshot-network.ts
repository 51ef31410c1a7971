// The part of the oracle that asks iproute2 and nft about a host's network.
type Output = (argv: readonly string[]) => Promise<string>;
type Row = Readonly<Record<string, unknown>>;

/** Rows of `ip -json`, reduced to the fields that mean something and do not change by themselves. */
async function rows(
  output: Output,
  argv: readonly string[],
  fields: readonly string[],
): Promise<readonly string[]> {
  const text = await output(['ip', '-json', ...argv]);
  const found = JSON.parse(text.trim() === '' ? '[]' : text) as readonly Row[];
  return found.map((row) => pick(row, fields)).filter((line) => line !== '');
}

function pick(row: Row, fields: readonly string[]): string {
  return fields
    .filter((field) => row[field] !== undefined)
    .map((field) => `${field}=${typeof row[field] === 'string' ? row[field] : JSON.stringify(row[field])}`)
    .join(' ');
}

export async function listLinks(output: Output): Promise<readonly string[]> {
  const text = await output(['ip', '-json', '-details', 'link', 'show']);
  const fields = [
    'ifname',
    'ifalias',
    'master',
    'mtu',
    'operstate',
    'flags',
    'address',
    'promiscuity',
    'kind',
  ];
  return (JSON.parse(text) as readonly (Row & { readonly linkinfo?: { readonly info_kind?: string } })[]).map(
    (row) => pick({ ...row, kind: row.linkinfo?.info_kind }, fields),
  );
}

export async function listAddresses(output: Output): Promise<readonly string[]> {
  const text = await output(['ip', '-json', 'address', 'show']);
  const links = JSON.parse(text) as readonly {
    readonly ifname: string;
    readonly addr_info: readonly Row[];
  }[];
  return links.flatMap(({ ifname, addr_info: addresses }) =>
    addresses.map((row) => `${ifname} ${pick(row, ['local', 'prefixlen', 'broadcast', 'scope', 'label'])}`),
  );
}

export async function listRoutes(output: Output): Promise<readonly string[]> {
  const fields = ['type', 'dst', 'gateway', 'dev', 'table', 'prefsrc', 'src', 'scope', 'metric'];
  const families = ['-4', '-6'].map((family) =>
    rows(output, [family, 'route', 'show', 'table', 'all'], fields),
  );
  return (await Promise.all(families)).flat();
}

export async function listRules(output: Output): Promise<readonly string[]> {
  const families = ['-4', '-6'].map(async (family) => {
    const text = await output(['ip', family, 'rule', 'show']);
    return text
      .trim()
      .split('\n')
      .map((line) => `${family} ${line}`);
  });
  return (await Promise.all(families)).flat();
}

export async function listFirewall(output: Output): Promise<readonly string[]> {
  const text = await output(['nft', '--stateless', 'list', 'ruleset']);
  return text.split('\n').filter((line) => line.trim() !== '');
}

export async function listSockets(output: Output): Promise<readonly string[]> {
  const text = await output(['sh', '-c', 'ss -H -l -n -t -u && ss -H -l -n -x']);
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [family = '', state = '', , , address = '', inode = ''] = line.trim().split(/\s+/);
      // A unix socket without a name is written as `*` and a number that is never the same.
      return family.startsWith('u_')
        ? `${family} ${state} ${address}`
        : `${family} ${state} ${address} ${inode}`;
    });
}
