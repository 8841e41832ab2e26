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

declare module 'pgpass' {
  type Connection = { host: string; port: number; user: string; database: string };
  export default function pgpass(
    connection: Connection,
    callback: (password: string | undefined) => void,
  ): void;
}
