/** Divides `total` by weights into whole numbers that add up to it. */
export function shares(total: number, weights: readonly number[]): number[] {
  const sum = weights.reduce((all, weight) => all + weight, 0);
  let before = 0;
  let given = 0;
  return weights.map((weight) => {
    before += weight;
    const end = Math.round((total * before) / sum);
    const share = end - given;
    given = end;
    return share;
  });
}
