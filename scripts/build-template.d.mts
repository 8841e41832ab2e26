/** Copies the template archive to `target`, beside the programs of a build, building it when the cache has none of it. */
export function provideTemplate(target: string, cacheFolder: string): Promise<void>;
/** The archive in the cache of a database with the extensions and without the schema. */
export function plainTemplate(cacheFolder: string): Promise<string>;
