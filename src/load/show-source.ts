// Addresses without their secrets: printed text ends up in logs of CI that anybody reads.

/**
 * Schemes in front of a login. The text before the @ of an image is none, unless a registry follows it:
 * `docker://alpine:3@sha256:…`.
 */
const SCHEME = String.raw`\b(?!docker:)[a-z][a-z0-9+.-]*://|docker://(?=[^\s/@]*@[^\s/]*/)`;
const LOGIN = new RegExp(`^(${SCHEME})[^/]*@`, 'i');
/** Logins and queries in a line of text. */
const SECRETS = new RegExp(`(${SCHEME})(?:([^"'/@]*)@)?([^\\s"'?]*)(?:[?]([^\\s"'#]*))?`, 'gi');

/** A URL without user, password and query, which signs in at some stores; anything else as it is. */
export function showSource(source: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) return source;
  // The end of the login in a broken URL is unknown.
  if (source.includes('@') && /^https?:/i.test(source) && !URL.canParse(source)) return 'https://…';
  return source.replace(LOGIN, '$1').replace(/[?#].*$/s, '');
}

/** Asterisks in place of each letter of what `showSource` leaves out, wherever in the line there is a URL. */
export function maskSecrets(line: string): string {
  return line.replaceAll(SECRETS, (_, scheme: string, login?: string, rest = '', query?: string) => {
    const user = login === undefined ? '' : `${'*'.repeat(login.length)}@`;
    return `${scheme}${user}${rest}${query === undefined ? '' : `?${'*'.repeat(query.length)}`}`;
  });
}
