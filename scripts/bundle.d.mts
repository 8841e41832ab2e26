/** Files that stand in for packages in a bundle, by the package's name. */
export const moduleAliases: Readonly<Record<string, string>>;

/** Bundles the programs into a folder, which is emptied first. */
export function bundle(outdir: string): Promise<void>;
