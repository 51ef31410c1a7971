import { expect, test } from 'vitest';
import type { CommandContext } from '../../src/commands/context.ts';
import { schema } from '../../src/commands/schema.ts';
import { validate } from '../../src/commands/validate.ts';

const VALID = 'runspec: 1\nname: web\nrootfs: { directory: ./rootfs }\n';
const INVALID = 'runspec: 1\nname: web\nrootfs: { directory: ./rootfs }\nresources:\n  memroy: 5M\n';

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(
  command: (context: CommandContext) => Promise<number>,
  stdin: string | Uint8Array,
  options: { json?: boolean; quiet?: boolean } = {},
): Promise<Outcome> {
  const written = { stdout: '', stderr: '' };
  const context: Partial<CommandContext> = {
    workingDirectory: '/specs',
    json: false,
    quiet: false,
    color: false,
    stdin: () => Promise.resolve(Buffer.from(stdin)),
    stdout: (text) => void (written.stdout += text),
    stderr: (line) => void (written.stderr += `${line}\n`),
    ...options,
  };
  const status = await command(context as CommandContext);
  return { status, ...written };
}

const validateStdin = (context: CommandContext): Promise<number> => validate(context, ['-']);

test('a valid spec is said to be, on stderr', async () => {
  expect(await run(validateStdin, VALID)).toEqual({ status: 0, stdout: '', stderr: 'the spec is valid\n' });
  expect(await run(validateStdin, VALID, { quiet: true })).toEqual({ status: 0, stdout: '', stderr: '' });
});

test('a problem is shown with its place, the line with a caret, and a hint', async () => {
  expect(await run(validateStdin, INVALID)).toEqual({
    status: 2,
    stdout: '',
    stderr: `<stdin>:5:3: unknown key "memroy" in resources
  5 |   memroy: 5M
    |   ^^^^^^
  hint: did you mean memory?
1 problem
`,
  });
});

test.each([
  [
    'a byte of Latin-1',
    Buffer.concat([Buffer.from(`${VALID}# \uFFFD: caf`), Buffer.of(0xe9)]),
    '<stdin>:4:9: the byte e9 is not UTF-8',
  ],
  ['UTF-16', Buffer.from(`\uFEFF${VALID}`, 'utf16le'), '<stdin>:1:1: the file is UTF-16, not UTF-8'],
])('what is not UTF-8 is a problem with its place: %s', async (_, bytes, words) => {
  const { status, stderr } = await run(validateStdin, bytes);
  expect(status).toBe(2);
  expect(stderr).toContain(words);
  expect(stderr).toContain('hint: save the file as UTF-8');
});

test.each([
  ['runtime: unshare', '<stdin>:4:10: runtime unshare is not available in this version'],
  ['namespaces: { mount: host }', '<stdin>:4:22: namespaces.mount cannot be host'],
])('what no machine can do is a problem with its place: %s', async (line, words) => {
  const { status, stderr } = await run(validateStdin, `${VALID}${line}\n`);
  expect(status).toBe(2);
  expect(stderr).toContain(words);
});

test('with --json the diagnostics are one document on stdout', async () => {
  const { status, stdout, stderr } = await run(validateStdin, INVALID, { json: true });
  expect({ status, stderr }).toEqual({ status: 2, stderr: '' });
  expect(JSON.parse(stdout)).toEqual({
    valid: false,
    status: 2,
    specs: [],
    diagnostics: [
      {
        code: 'unknown-key',
        severity: 'error',
        message: 'unknown key "memroy" in resources',
        hint: 'did you mean memory?',
        path: ['resources', 'memroy'],
        file: '<stdin>',
        range: { start: { line: 5, column: 3, offset: 66 }, end: { line: 5, column: 9, offset: 72 } },
      },
    ],
  });
});

test('schema prints the JSON Schema of the language', async () => {
  const { status, stdout } = await run(schema, '');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    required: ['runspec', 'name', 'rootfs'],
  });
});
