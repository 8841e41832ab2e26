/** asciichart ships no types; this is what of it is used. */
declare module 'asciichart' {
  export type PlotConfig = {
    height?: number;
    min?: number;
    max?: number;
    format?: (value: number) => string;
    colors?: string[];
  };

  const asciichart: { plot: (series: number[] | number[][], config?: PlotConfig) => string };
  export default asciichart;
}

declare module 'pgpass/lib/helper.js' {
  import type { Stats } from 'node:fs';

  type Connection = { host: string; port: number; user: string; database: string };
  const helper: {
    getFileName: (environment: NodeJS.ProcessEnv) => string;
    /** Whether it is a file that nobody else may read. */
    usePgPass: (stat: Stats, file: string) => boolean;
    getPassword: (
      connection: Connection,
      lines: NodeJS.ReadableStream,
      callback: (password: string | undefined) => void,
    ) => void;
  };
  export default helper;
}
