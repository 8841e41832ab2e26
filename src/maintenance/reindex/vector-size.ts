/** Bytes of one stored vector: pgvector's header and single-precision numbers. */
function vectorBytes(dimensions: number): number {
  return 8 + 4 * dimensions;
}

/**
 * Bytes of memory that pgvector asks for to find the centres of an ivfflat index; it refuses the build when
 * maintenance_work_mem is less. The sum of ivfkmeans.c: 50 samples a list (10,000 at least), the centres
 * twice, sums, and the distance bounds of k-means. It is allocated for an empty table as well.
 */
export function ivfflatBuildBytes(lists: number, dimensions: number): number {
  const vector = vectorBytes(dimensions);
  const samples = Math.max(50 * lists, 10_000);
  return (
    samples * vector +
    2 * lists * vector +
    4 * lists * dimensions +
    4 * samples * lists +
    4 * lists * lists +
    8 * samples +
    12 * lists
  );
}

/** Bytes that hold the graph of an hnsw index while it is built; with less it is built far slower. */
export function hnswBuildBytes(rows: number, dimensions: number): number {
  // Besides the vector about 2 × m = 32 neighbours in the lowest layer, m = 16 above.
  return Math.round(rows * (vectorBytes(dimensions) + 1_000));
}

const pageBytes = 8_192;

/** Bytes on disk, roughly: pages hold whole vectors only, at 1536 dimensions one each. */
export function vectorIndexBytes(rows: number, dimensions: number): number {
  const perPage = Math.max(1, Math.floor((pageBytes - 40) / (vectorBytes(dimensions) + 16)));
  return Math.ceil(rows / perPage) * pageBytes;
}
