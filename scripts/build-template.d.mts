/** Copies the template archive to `target`, building it when the cache has none of these packages. */
export function provideTemplate(target: string, cacheFolder: string): Promise<void>;
