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
