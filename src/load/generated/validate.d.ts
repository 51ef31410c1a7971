// Generated from schema/runspec.schema.json by scripts/generate.mjs; do not edit.

export interface SchemaError {
  readonly keyword: string;
  /** JSON pointer into the document. */
  readonly instancePath: string;
  /** JSON pointer into the innermost $defs entry. */
  readonly schemaPath: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export declare const validate: {
  (value: unknown): boolean;
  errors?: readonly SchemaError[] | null;
};
