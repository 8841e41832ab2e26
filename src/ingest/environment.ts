/** Variables of a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A variable that is set to something: the empty text is how shells unset one for a single command. */
export function given(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}
