import type {
  CallRow,
  ChainRow,
  DecisionRow,
  ErrorRow,
  HookRow,
  TraceRow,
  UsageRow,
} from '../rows.js';

/** The tables that a trace's own rows go to. */
export type TraceTables = {
  execution_traces: TraceRow;
  agent_routing_decisions: DecisionRow;
  hook_executions: HookRow;
  endpoint_calls: CallRow;
};

export type TraceTable = keyof TraceTables;

/** Takes what a simulated tree does. */
export interface Recorder {
  /** A new row, or one that was put before and has changed since. */
  put<Table extends TraceTable>(table: Table, row: TraceTables[Table]): void;
  /** A pattern was matched; its counters move. */
  usage(row: UsageRow): void;
  chain(row: ChainRow): void;
  error(row: ErrorRow): void;
}
