// The figures as docs/benchmarks.md: medians, ratios, targets, and whether each is met.

export function renderReport({ machine, rounds, batch, idle, samples, memory, images, left }) {
  const { unpacked } = images;
  const median = (name) => middle(samples[name]);
  const held = (whose, name) => middle(memory[whose].map((one) => one[name]));
  const rows = [
    row('`runspec --version`', median('version'), '`node -e 0`', median('node'), 1.25),
    row('`runspec plan specs/nginx.yaml`', median('plan'), '`node -e 0`', median('node'), 2),
    row('`runspec apply`', median('apply'), '`podman run -d`', median('podmanRun'), 1),
    row('a second `apply`', median('again'), 'the first', median('apply'), 0.5),
    row('`runspec down`', median('down'), '`podman rm -f -t 0`', median('podmanRemove'), 1),
    row(
      `\`runspec apply\` of ${batch} specs`,
      median('applyMany'),
      `${batch} \`podman run -d\` in a row`,
      median('podmanRunMany'),
      0.5,
    ),
    row(
      `\`runspec down\` of ${batch}`,
      median('downMany'),
      `\`podman rm -f -t 0\` of ${batch}`,
      median('podmanRemoveMany'),
    ),
    row(
      'memory held per idle container, PSS',
      held('runspec', 'pss'),
      'Podman',
      held('podman', 'pss'),
      1,
      'KiB',
    ),
    row('the same, RSS', held('runspec', 'rss'), 'Podman', held('podman', 'rss'), 1, 'KiB'),
  ];
  const imageRows = [
    row('`runspec image pull oci:…`', median('imagePull'), '`podman load`', median('podmanLoad'), 1),
    row('the same', median('imagePull'), '`skopeo copy`, then `umoci unpack`', median('skopeoUmoci'), 1),
    row('`runspec image pull docker://…`', median('registryPull'), '`podman pull`', median('podmanPull'), 1),
    row('memory it takes at most, RSS: from a layout', images.peak, 'a bound', 200 * 1024, 1, 'KiB'),
    row('from the registry, with its children', images.pullPeak, 'a bound', 200 * 1024, 1, 'KiB'),
  ];
  const spread = Object.entries(samples).map(
    ([name, values]) =>
      `| ${name} | ${values.length} | ${ms(Math.min(...values))} | ${ms(middle(values))} | ${ms(Math.max(...values))} |`,
  );
  return `# Benchmarks

Written by \`npm run bench\` (as root; \`npm run bench -- --setup\` installs Podman first). Medians of ${rounds} rounds of
one run on ${machine.date}; ${machine.cpu}, ${machine.memory}, Linux ${machine.kernel}, load ${machine.load} at the end.

${machine.versions.join(' · ')}

| what | runspec | against | its figure | ratio | target | met |
|---|--:|---|--:|--:|--:|---|
${rows.join('\n')}

Images: 200 MB in 20,000 files and 5 layers of gzip, unpacked into an empty store, from an OCI layout
and from a registry on loopback.

| what | runspec | against | its figure | ratio | target | met |
|---|--:|---|--:|--:|--:|---|
${imageRows.join('\n')}

The first container of that image, with Alpine above it, unpacked ${unpacked.first} files and folders; a second one
unpacked ${unpacked.second} (target 0, ${unpacked.second === 0 ? 'met' : '**not met**'}).

## What is compared

* One spec: an overlay over Alpine that is unpacked already, a bridge, a published port, 0.5 CPUs, 64 MiB of memory, 2048
  processes, \`sleep\` stopped without grace. Podman gets the same options, the same root filesystem as an imported
  image, the same runtime (runc), conmon and log format, netavark, cgroupfs, and a storage of its own.
* Both work in the same throw-away host, a set of namespaces, so that bridge, firewall and ip_forward are made and
  removed in every round. Each round runs every command once, in turn; the three that take milliseconds, three times.
* Podman leaves chains of its firewall in the host. Since runspec names rules of others that stop a container's packets,
  its \`plan\` and first \`apply\` read them here, by one or two processes more than on a host without other firewalls.
* Whole processes are timed, from fork to exit. NODE_EXTRA_CA_CERTS is unset for all.
* Memory is the sum over all processes but the containers' own, with ${idle} containers up, in ${rounds} rounds: ${held('runspec', 'processes')} a
  container for runspec, ${held('podman', 'processes')} for Podman (conmon). PSS counts a page shared by n processes as 1/n.
* \`podman load\` reads the image as an oci-archive into overlay storage. Every round unpacks into a new place, and what
  is to be written to the disk is written before the next begins.
* The registry is Debian's docker-registry, filled by skopeo; \`podman pull --tls-verify=false\` reads it into overlay
  storage. RSS of runspec and its children is added up fifty times a second, in a pull that is not timed.
* After runspec's part links, nft tables, mounts, network namespaces, cgroups, ip_forward, records and processes were
  compared with before: ${left.length === 0 ? 'nothing was left' : `left were ${left.join(', ')}`}.

## Spread

Milliseconds.

| command | n | min | median | max |
|---|--:|--:|--:|--:|
${spread.join('\n')}
`;
}

function row(what, own, against, other, target, unit = 'ms') {
  const ratio = own / other;
  const met = target === undefined ? '' : ratio <= target ? 'yes' : '**no**';
  const show = (value) => `${unit === 'ms' ? ms(value) : Math.round(value)} ${unit}`;
  return `| ${what} | ${show(own)} | ${against} | ${show(other)} | ${ratio.toFixed(2)} | ${target === undefined ? '' : `≤ ${target}`} | ${met} |`;
}

function middle(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
}

function ms(value) {
  return value < 100 ? value.toFixed(1) : value.toFixed(0);
}
