/** What a running process waits for. */
export type Wait =
  | { kind: 'sleep'; ms: number }
  /** Its turn to start a trace: at once in a backfill, by the rate in live traffic. */
  | { kind: 'turn' }
  | { kind: 'all'; processes: readonly Process[] };

/** Simulated work: a generator that says what it waits for. */
export type Process<Result = void> = Generator<Wait, Result, void>;

export const sleep = (ms: number): Wait => ({ kind: 'sleep', ms });

type Task = { process: Process; at: number; order: number; hasTurn: boolean; done: () => void };

/**
 * Runs many processes on one simulated clock (whole ms since 1970). Nothing here looks at the real time:
 * who drives it decides how far the clock goes, and equal processes give equal results.
 */
export class Scheduler {
  #now: number;
  #order = 0;
  readonly #heap: Task[] = [];
  readonly #turns: Task[] = [];
  readonly #waitsForTurns: boolean;

  constructor(start: number, options: { waitForTurns: boolean }) {
    this.#now = start;
    this.#waitsForTurns = options.waitForTurns;
  }

  get now(): number {
    return this.#now;
  }

  /** When the next process goes on; Infinity when none sleeps. */
  get nextAt(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  /** Processes that wait for their turn. */
  get waiting(): number {
    return this.#turns.length;
  }

  /** Starts a process now; with its first turn given, it does not wait behind others for it. */
  spawn(process: Process, hasTurn = false): void {
    this.#start(process, hasTurn, () => undefined);
  }

  #start(process: Process, hasTurn: boolean, done: () => void): void {
    this.#advance({ process, at: this.#now, order: this.#order++, hasTurn, done });
  }

  /** Lets the process that waits longest for its turn go on; false when none waits. */
  giveTurn(): boolean {
    const task = this.#turns.shift();
    if (!task) return false;
    this.#advance(task);
    return true;
  }

  /** Runs everything that is due up to and including `time`, then sets the clock to it. */
  runUntil(time: number): void {
    while (this.nextAt <= time) this.#step();
    if (time > this.#now) this.#now = time;
  }

  /** Runs until nothing sleeps any more. */
  runToEnd(): void {
    while (this.#heap.length > 0) this.#step();
  }

  /** Runs at most so many steps: what is left stays as it is, for ever. */
  runSteps(count: number): void {
    for (let step = 0; step < count && this.#heap.length > 0; step += 1) this.#step();
  }

  #step(): void {
    const task = this.#pop();
    if (!task) return;
    this.#now = Math.max(this.#now, task.at);
    this.#advance(task);
  }

  #advance(task: Task): void {
    for (;;) {
      const { done, value } = task.process.next();
      if (done) {
        task.done();
        return;
      }
      if (value.kind === 'sleep') {
        task.at = this.#now + Math.max(0, Math.round(value.ms));
        this.#push(task);
        return;
      }
      if (value.kind === 'all') {
        this.#join(task, value.processes);
        return;
      }
      if (this.#waitsForTurns && !task.hasTurn) {
        this.#turns.push(task);
        return;
      }
      task.hasTurn = false;
    }
  }

  #join(parent: Task, processes: readonly Process[]): void {
    let open = processes.length;
    const childDone = () => {
      open -= 1;
      if (open > 0) return;
      parent.at = this.#now;
      this.#push(parent);
    };
    for (const process of processes) this.#start(process, false, childDone);
    if (processes.length === 0) this.#push(parent);
  }

  #push(task: Task): void {
    const heap = this.#heap;
    task.order = this.#order++;
    let index = heap.length;
    heap.push(task);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const other = heap[above];
      if (!other || !before(task, other)) break;
      heap[index] = other;
      index = above;
    }
    heap[index] = task;
  }

  #pop(): Task | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || first === last) return first;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      let other = heap[below];
      const right = heap[below + 1];
      if (other && right && before(right, other)) {
        below += 1;
        other = right;
      }
      if (!other || !before(other, last)) break;
      heap[index] = other;
      index = below;
    }
    heap[index] = last;
    return first;
  }
}

function before(one: Task, other: Task): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
