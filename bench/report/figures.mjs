// Figures of several runs.

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function figuresOf(runs, figure) {
  return runs.filter((run) => run.faults.length === 0 && typeof run[figure] === 'number').map((run) => run[figure]);
}

/** The ratio to Bun, round by round: what disturbs a round disturbs both. */
export function ratio(runs, bun, figure) {
  const ratios = runs.flatMap((run, round) => {
    const beside = bun[round];
    const isFit = run.faults.length === 0 && beside?.faults.length === 0 && beside[figure] > 0;
    return isFit ? [run[figure] / beside[figure]] : [];
  });
  return ratios.length > 0 ? median(ratios) : undefined;
}
