/** Bundles the programs into a folder, which is emptied first. */
export function bundle(outdir: string): Promise<void>;
