/**
 * What people ask for. An intent chooses the agent, the words of the prompt, and the cluster that
 * its embeddings lie in. In a template, {thing}, {file}, {language}, {project} come from the
 * project; {symptom}, {reason} and {n} from word lists.
 */
export type Intent = {
  name: string;
  weight: number;
  /** Best first; the others show up as alternatives. */
  agents: readonly string[];
  keywords: readonly string[];
  templates: readonly string[];
};

export const intents: readonly Intent[] = [
  {
    name: 'debug_failing_test',
    weight: 8,
    agents: ['agent-debugger', 'agent-test-writer', 'agent-backend-engineer'],
    keywords: ['test', 'failing', 'flaky', 'assertion', 'debug'],
    templates: [
      'The tests for {thing} fail since this morning: {symptom}. Find out why and fix it.',
      'Why does the test around {file} only fail in CI? Locally it passes {n} times in a row.',
      '{thing} is flaky, about one run in {n} ends with {symptom}. Please make it deterministic.',
    ],
  },
  {
    name: 'fix_production_bug',
    weight: 8,
    agents: ['agent-debugger', 'agent-backend-engineer', 'agent-incident-commander'],
    keywords: ['bug', 'production', 'fix', 'error', 'regression'],
    templates: [
      'Customers report {symptom} with {thing}. Reproduce it, fix it, add a regression test.',
      'Since the last release {thing} shows {symptom}. I suspect {file}, but check yourself.',
      'Sentry has {n} new events from {file}: {symptom}. What changed?',
    ],
  },
  {
    name: 'add_api_endpoint',
    weight: 6,
    agents: ['agent-backend-engineer', 'agent-test-writer'],
    keywords: ['endpoint', 'api', 'route', 'request', 'validation'],
    templates: [
      'Add an endpoint for {thing} with validation and tests, {reason}.',
      'We need pagination on {thing}: cursor based, {n} rows a page, stable under inserts.',
      'Expose {thing} over the internal API; follow what {file} does today.',
    ],
  },
  {
    name: 'refactor_module',
    weight: 6,
    agents: ['agent-refactorer', 'agent-code-reviewer', 'agent-backend-engineer'],
    keywords: ['refactor', 'split', 'clean', 'module', 'naming'],
    templates: [
      'Split {file}, it has {n} responsibilities now. No change of behaviour.',
      'Move the shared parts of {thing} into one module, {reason}.',
      'Rename things in {file} so that a new colleague understands them, then run everything.',
    ],
  },
  {
    name: 'write_unit_tests',
    weight: 6,
    agents: ['agent-test-writer', 'agent-debugger'],
    keywords: ['unit', 'tests', 'coverage', 'edge cases', 'property'],
    templates: [
      'Write tests for {file}, edge cases first: empty input, {symptom}, very long input.',
      'Property tests for {thing}, please; seed them and print the seed on failure.',
      'Coverage of {file} fell under {n} %. Cover what matters, not getters.',
    ],
  },
  {
    name: 'review_pull_request',
    weight: 6,
    agents: ['agent-code-reviewer', 'agent-security-auditor'],
    keywords: ['review', 'pull request', 'diff', 'approve', 'comments'],
    templates: [
      'Review pull request #{n} of {project}. Be strict about {thing}.',
      'Look at the diff in {file} before I merge. Anything that breaks {reason}?',
    ],
  },
  {
    name: 'optimise_sql_query',
    weight: 4,
    agents: ['agent-database-tuner', 'agent-backend-engineer'],
    keywords: ['sql', 'query', 'index', 'slow', 'explain'],
    templates: [
      'The query behind {thing} takes {n} s. Here is the plan, what index would help?',
      'pg_stat_statements puts {file} on top. Rewrite it {reason}.',
    ],
  },
  {
    name: 'design_schema_migration',
    weight: 3,
    agents: ['agent-database-tuner', 'agent-backend-engineer'],
    keywords: ['schema', 'migration', 'column', 'backfill', 'constraint'],
    templates: [
      'Plan a migration for {thing} that never locks the table for more than {n} ms.',
      'Add a NOT NULL column to the table of {thing} and backfill it, {reason}.',
    ],
  },
  {
    name: 'write_documentation',
    weight: 4,
    agents: ['agent-technical-writer', 'agent-researcher'],
    keywords: ['docs', 'readme', 'explain', 'guide', 'changelog'],
    templates: [
      'Document {thing} for people on call: symptoms, first steps, whom to call.',
      'Write the changelog of {project} since the last tag, one line each, no marketing.',
    ],
  },
  {
    name: 'upgrade_dependency',
    weight: 3,
    agents: ['agent-dependency-keeper', 'agent-devops-engineer'],
    keywords: ['upgrade', 'dependency', 'version', 'breaking', 'advisory'],
    templates: [
      'Upgrade the dependencies of {project}, one commit each, and stop at {symptom}.',
      'There is an advisory for something under {file}. Are we affected? If so, patch it.',
    ],
  },
  {
    name: 'security_audit',
    weight: 3,
    agents: ['agent-security-auditor', 'agent-code-reviewer'],
    keywords: ['security', 'injection', 'permission', 'secret', 'audit'],
    templates: [
      'Check {file} for injection and missing authorisation. Prove every finding with a test.',
      'Could somebody without the right role reach {thing}? Try it.',
    ],
  },
  {
    name: 'investigate_incident',
    weight: 3,
    agents: ['agent-incident-commander', 'agent-devops-engineer', 'agent-debugger'],
    keywords: ['incident', 'latency', 'alert', 'rollback', 'timeline'],
    templates: [
      'Alert: {symptom} on {project} since {n} minutes. What changed, and should we roll back?',
      'Write the timeline of last night around {thing} from logs and deploys.',
    ],
  },
  {
    name: 'build_ui_component',
    weight: 5,
    agents: ['agent-frontend-engineer', 'agent-test-writer'],
    keywords: ['component', 'ui', 'accessibility', 'layout', 'form'],
    templates: [
      'Build {thing} as a component: keyboard first, screen reader tested, {reason}.',
      'On small screens {thing} overlaps the footer by {n} px. Fix the layout in {file}.',
    ],
  },
  {
    name: 'set_up_pipeline',
    weight: 3,
    agents: ['agent-devops-engineer', 'agent-dependency-keeper'],
    keywords: ['pipeline', 'ci', 'deploy', 'cache', 'runner'],
    templates: [
      'CI of {project} takes {n} minutes. Bring it under ten without dropping a check.',
      'Deploy {thing} to staging on every merge, {reason}.',
    ],
  },
];

export const symptoms = [
  'a 500 every few minutes',
  'duplicated rows',
  'a deadlock under load',
  'timeouts after 30 s',
  '"undefined is not a function"',
  'memory that only grows',
  'results in the wrong order',
  'an off-by-one at month end',
  'mojibake in names like "Žižek" and "渡辺"',
  'a nil pointer in the retry path',
] as const;

export const reasons = [
  'without touching the public API',
  'because the auditors ask for it',
  'so that it survives a restart',
  'in small commits',
  'as cheaply as you can',
  'and measure before and after',
  'the way we did it last quarter',
] as const;

export const deliverables = [
  'Run the tests first.',
  'Ask before you delete anything.',
  'Keep the diff small.',
  'Think about time zones.',
  'No new dependencies.',
  'Explain the trade-offs in two sentences.',
  'Thanks 🙏',
  'It is urgent 🔥',
] as const;
