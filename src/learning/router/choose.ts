import { isStopWord, stem, wordsOf } from '../text/prompt-text.js';
import type { AgentOffer, ConfidenceBreakdown } from './types.js';

/** Good and bad uses, the recent ones weighing most: no more than about 20 together. */
export type Evidence = { good: number; bad: number };

/** What is known of an agent for a prompt. */
export type Candidate = AgentOffer & {
  evidence: Evidence;
  /** Of its nearest pattern; 0 without one. */
  similarity: number;
};

/** What a use weighs against the one after it: after 20 uses a third is left. */
const usageDecay = 0.95;
const mostLearned = 20;
/**
 * Tries are half as bold as the evidence allows: of 25 simulated worlds the worst then has 0.99 of the best possible
 * while nothing changes (0.976 without), and 0.95 from 1,000 decisions after a change on (0.936 without).
 */
const caution = 2;

/**
 * Weighs the uses of a pattern that routers logged, newest first; as far as there are few of them, what was learned
 * from traces counts, too.
 */
export function weigh(outcomes: readonly string[], learned: Evidence): Evidence {
  let weight = 1;
  let [good, bad] = [0, 0];
  for (const outcome of outcomes) {
    if (outcome === 'skipped') continue;
    if (outcome === 'success') good += weight;
    else if (outcome === 'failure') bad += weight;
    else [good, bad] = [good + weight / 2, bad + weight / 2];
    weight *= usageDecay;
  }
  const total = learned.good + learned.bad;
  const left = Math.max(0, 1 - outcomes.length / mostLearned);
  const share = total === 0 ? 0 : (left * Math.min(total, mostLearned)) / total;
  return { good: good + share * learned.good, bad: bad + share * learned.bad };
}

/** The success rate that the evidence speaks for; a half without any. */
export function meanOf({ good, bad }: Evidence): number {
  return (good + 1) / (good + bad + 2);
}

/** Share of an agent's triggers that occur in the prompt, at most three needed for all. */
export function triggerShare(triggers: readonly string[] = [], prompt: string): number {
  if (triggers.length === 0) return 0;
  const words = new Set(wordsOf(prompt).map(stem));
  const found = triggers.filter((trigger) => {
    const parts = wordsOf(trigger).filter((word) => !isStopWord(word));
    return parts.length > 0 && parts.every((part) => words.has(stem(part)));
  });
  return Math.min(1, found.length / Math.min(3, triggers.length));
}

export function breakdownOf(candidate: Candidate, prompt: string): ConfidenceBreakdown {
  return {
    trigger: triggerShare(candidate.triggers, prompt),
    context: Math.max(0, Math.min(1, candidate.similarity)),
    capability: Math.max(
      0,
      Math.min(1, Number.isNaN(candidate.capability) ? 0.5 : (candidate.capability ?? 0.5)),
    ),
    historical: meanOf(candidate.evidence),
  };
}

/** What was seen counts most; words and capability decide where nothing was. */
export function confidenceOf({
  trigger,
  context,
  capability,
  historical,
}: ConfidenceBreakdown): number {
  return 0.15 * trigger + 0.15 * context + 0.1 * capability + 0.6 * historical;
}

export type Choice = { candidate: Candidate; isTry: boolean };

/**
 * Chooses by what is known, and tries agents that are less known as often as they may be better (Thompson sampling):
 * of each success rate a value is drawn that the evidence allows. The more was seen the less is tried; since old uses
 * weigh little, a change of the world is noticed and followed.
 *
 * @param random undefined: nothing is tried, the best known is chosen
 */
export function choose(
  candidates: readonly Candidate[],
  prompt: string,
  random: (() => number) | undefined,
): Choice | undefined {
  const scored = candidates.map((candidate) => {
    const { trigger, capability, historical } = breakdownOf(candidate, prompt);
    const nudge = 0.05 * trigger + 0.05 * capability;
    const drawn = random ? betaSample(candidate.evidence, random) : historical;
    return { candidate, known: historical + nudge, drawn: drawn + nudge };
  });
  const best = highest(scored, ({ known }) => known);
  const chosen = highest(scored, ({ drawn }) => drawn);
  return chosen && { candidate: chosen.candidate, isTry: chosen !== best };
}

function highest<Value>(values: readonly Value[], of: (value: Value) => number): Value | undefined {
  return values.reduce<Value | undefined>(
    (most, value) => (most === undefined || of(value) > of(most) ? value : most),
    undefined,
  );
}

/** A draw from the Beta distribution of a success rate, by two gamma draws. */
function betaSample({ good, bad }: Evidence, random: () => number): number {
  const one = gammaSample(caution * good + 1, random);
  const other = gammaSample(caution * bad + 1, random);
  return one / (one + other);
}

/** Marsaglia and Tsang; `shape` is at least 1. */
function gammaSample(shape: number, random: () => number): number {
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = normal(random);
    const v = (1 + c * x) ** 3;
    if (v <= 0) continue;
    const u = 1 - random();
    if (Math.log(u) < (x * x) / 2 + d - d * v + d * Math.log(v)) return d * v;
  }
}

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
