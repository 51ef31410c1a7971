// Config of an image, read and checked: OCI image spec, config.md. Pure.
import { posix } from 'node:path';
import { OperationError } from '../errors.ts';
import {
  digestOf,
  fieldsOf,
  listOf,
  parseDocument,
  parsePlatform,
  textOf,
  textsOf,
  type Fields,
} from './document.ts';
import type { Digest, Platform } from './image.ts';
import type { ImageConfig } from '../plan/facts.ts';

export interface ConfigDocument {
  readonly platform: Platform;
  readonly config: ImageConfig;
  /** Diff ids of the layers, lowest first. */
  readonly diffIds: readonly Digest[];
}

export function parseConfig(bytes: Buffer): ConfigDocument {
  const document = parseDocument(bytes, 'the config');
  const platform = parsePlatform(document, 'the config');
  if (platform.os !== 'linux') throw new OperationError(`it is an image for ${platform.os}, not for linux`);
  const { type, diff_ids: diffIds } = fieldsOf(document['rootfs'], 'rootfs of the config');
  if (type !== 'layers') throw new OperationError('rootfs.type of the config is not layers');
  return {
    platform,
    config: parseProcess(document['config']),
    diffIds: listOf(diffIds, 'diff_ids of the config').map((id, index) =>
      digestOf(id, `diff id ${index + 1}`),
    ),
  };
}

function parseProcess(value: unknown): ImageConfig {
  if (value === undefined || value === null) return {};
  const fields = fieldsOf(value, 'config of the config');
  return {
    ...words(fields, 'Entrypoint', 'entrypoint'),
    ...words(fields, 'Cmd', 'cmd'),
    ...environment(fields),
    ...text(fields, 'WorkingDir', 'workingDir', (path) => posix.resolve('/', path)),
    ...text(fields, 'User', 'user'),
    ...text(fields, 'StopSignal', 'stopSignal'),
    ...volumes(fields),
  };
}

/** List of words. null and [] both mean nothing, as to Docker; old builders wrote a single word as a text. */
function words<K extends string>(
  fields: Fields,
  key: string,
  name: K,
): Partial<Record<K, readonly string[]>> {
  const value = fields[key];
  const list = typeof value === 'string' ? [value] : textsOf(value, `config.${key}`);
  return list.length === 0 ? {} : ({ [name]: list } as Record<K, readonly string[]>);
}

function environment(fields: Fields): Pick<ImageConfig, 'env'> {
  const env = textsOf(fields['Env'], 'config.Env');
  const odd = env.findIndex((entry) => entry.indexOf('=') < 1);
  if (odd !== -1) throw new OperationError(`config.Env[${odd}] is not NAME=value`);
  return env.length === 0 ? {} : { env };
}

function text<K extends string>(
  fields: Fields,
  key: string,
  name: K,
  convert = (value: string): string => value,
): Partial<Record<K, string>> {
  const value = fields[key];
  if (value === undefined || value === null || value === '') return {};
  return { [name]: convert(textOf(value, `config.${key}`)) } as Record<K, string>;
}

function volumes(fields: Fields): Pick<ImageConfig, 'volumes'> {
  const value = fields['Volumes'];
  if (value === undefined || value === null) return {};
  const paths = Object.keys(fieldsOf(value, 'config.Volumes')).map((path) => textOf(path, 'config.Volumes'));
  return paths.length === 0 ? {} : { volumes: paths.toSorted() };
}
