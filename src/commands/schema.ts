// schema: the spec language as JSON Schema, for editors and other tools.
import type { CommandContext } from './context.ts';
import { EXIT } from './context.ts';

export async function schema(context: CommandContext): Promise<number> {
  // Loaded only here: no other command needs the text of the schema.
  const { default: document } = await import('../../schema/runspec.schema.json', { with: { type: 'json' } });
  context.stdout(`${JSON.stringify(document, undefined, 2)}\n`);
  return EXIT.done;
}
