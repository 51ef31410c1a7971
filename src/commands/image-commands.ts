// `runspec image …` as users type it; image.ts carries it out.
import type { Command } from 'commander';
import type { CommandContext } from './context.ts';

export function addImageCommands(
  program: Command,
  context: (json?: boolean) => Promise<CommandContext>,
  done: (status: number) => void,
): void {
  const image = program
    .command('image')
    .description('the store of images and unpacked layers')
    .exitOverride();
  const load = () => import('./image.ts');
  const sub = (usage: string, description: string): Command =>
    image.command(usage).description(description).option('--json', 'as JSON', false).exitOverride();
  sub('ls', 'list images and layers').action(async (options: { json: boolean }) =>
    done(await (await load()).showImages(await context(options.json))),
  );
  sub('add <file...>', 'put archives into the store and print their sha256').action(
    async (files: string[], options: { json: boolean }) =>
      done(await (await load()).addImages(await context(options.json), files)),
  );
  sub('rm <name...>', 'remove images, or layers that nothing uses').action(
    async (layers: string[], options: { json: boolean }) =>
      done(await (await load()).removeImages(await context(options.json), layers)),
  );
  sub('gc', 'remove every layer that nothing uses, and leftovers').action(
    async (options: { json: boolean }) =>
      done(await (await load()).collectImages(await context(options.json))),
  );
  sub('pull <source...>', 'pull images (docker://…, oci:…), or all that specs are made of').action(
    async (sources: string[], options: { json: boolean }) => {
      const [{ pullImages }, { loadSpecs }] = await Promise.all([load(), import('./load-specs.ts')]);
      const made = await context(options.json);
      const references = sources.filter(isImageReference);
      const specs = sources.filter((source) => !isImageReference(source));
      const loaded = specs.length === 0 ? undefined : await loadSpecs(made, specs);
      done(await pullImages(made, references, loaded));
    },
  );
}

/** Whether a source is an image; a spec whose name looks like one needs `./` before it. */
function isImageReference(source: string): boolean {
  return /^(?:docker:\/\/|oci:|docker-archive:|dir:)/.test(source);
}
