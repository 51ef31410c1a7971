// Every folder of test/fixtures/specs is a kind of case; a new case is a new file there.
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { load } from '../../src/load/load.ts';
import { renderDiagnostic } from '../../src/load/render-diagnostic.ts';

const fixtures = new URL('../fixtures/specs/', import.meta.url);

function list(folder: string): readonly string[] {
  return readdirSync(new URL(folder, fixtures)).filter((name) => !name.includes('.expected.'));
}

function loadFixture(name: string): ReturnType<typeof load> & { readonly text: string } {
  const text = readFileSync(new URL(name, fixtures), 'utf8');
  return { ...load([{ file: name.replace(/^.*\//, ''), baseDir: '/specs', text }]), text };
}

describe('a valid spec is loaded as written down beside it', () => {
  test.each(list('valid/'))('%s', async (name) => {
    const { specs, diagnostics } = loadFixture(`valid/${name}`);
    expect(diagnostics).toEqual([]);
    const json = `${JSON.stringify(
      specs.map(({ spec }) => spec),
      undefined,
      2,
    )}\n`;
    await expect(json).toMatchFileSnapshot(
      new URL(`valid/${name.replace('.yaml', '.expected.json')}`, fixtures).pathname,
    );
  });
});

describe('every problem of a spec is told at once, as written down beside it', () => {
  test.each(list('invalid/'))('%s', async (name) => {
    const { diagnostics, text } = loadFixture(`invalid/${name}`);
    expect(diagnostics).not.toEqual([]);
    const report = diagnostics.map(
      (diagnostic) => `[${diagnostic.code}] ${renderDiagnostic(diagnostic, text, { color: false })}\n`,
    );
    await expect(report.join('')).toMatchFileSnapshot(
      new URL(`invalid/${name.replace('.yaml', '.expected.txt')}`, fixtures).pathname,
    );
  });
});

describe('a diagnostic', () => {
  const diagnostics = list('invalid/').flatMap((name) => loadFixture(`invalid/${name}`).diagnostics);

  test.each(diagnostics)('$code: $message', ({ code, message, hint, file, range }) => {
    expect(code).toMatch(/^[a-z]+(-[a-z0-9]+)*$/);
    expect(message).toMatch(/^[^A-Z].*[^.\n]$/s);
    expect(hint).toMatch(/.../);
    expect(file).toMatch(/\.yaml$/);
    expect(range?.start.line).toBeGreaterThan(0);
  });
});

describe('spellings of one meaning load to one spec', () => {
  test.each(list('equivalent/'))('%s', (group) => {
    const names = list(`equivalent/${group}/`);
    const loaded = names.map((name) => loadFixture(`equivalent/${group}/${name}`));
    const [first, ...others] = loaded.map(({ specs, diagnostics }) => ({
      diagnostics,
      spec: specs[0]?.spec,
    }));
    expect(first?.diagnostics).toEqual([]);
    expect(others.length).toBeGreaterThan(0);
    for (const other of others) expect(other).toStrictEqual(first);
  });
});
