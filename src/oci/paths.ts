// Paths inside a container, as text: no file system is asked. Pure.

/**
 * The path as absolute, without `.`, `..`, doubled or trailing slashes; `..` at the root stays there, as in the kernel.
 */
export function normalizePath(path: string, from = '/'): string {
  const parts: string[] = [];
  for (const part of (path.startsWith('/') ? path : `${from}/${path}`).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

export function isAtOrBelow(path: string, folder: string): boolean {
  return path === folder || folder === '/' || path.startsWith(`${folder}/`);
}

export function pathDepth(path: string): number {
  return path.split('/').filter((part) => part !== '').length;
}
