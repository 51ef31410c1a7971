// Fetches archives and images that specs name on the network into the store, and shows how it goes.
import { fetchSources } from '../image/fetch-sources.ts';
import type { FetchOptions } from '../image/remote-sources.ts';
import type { LoadedSpec } from '../load/load.ts';
import type { CommandContext } from './context.ts';
import { withLayerDisplay } from './layer-display.ts';
import { placeByPath } from './place-failure.ts';
import { createReporter } from './reporter.ts';

export async function fetchAll(
  context: CommandContext,
  specs: readonly LoadedSpec[],
  options: FetchOptions,
): Promise<void> {
  await withLayerDisplay(context, async ({ stderr, follow }) => {
    const reporter = createReporter({ ...context, stderr });
    for (const loaded of specs) {
      const { spec } = loaded;
      const told = follow((text) => reporter.progress(spec.name, 'fetch', text));
      await fetchSources({ ...context, ...told }, spec, options).catch(async (error: unknown) => {
        throw await placeByPath(error, loaded);
      });
    }
  });
}
