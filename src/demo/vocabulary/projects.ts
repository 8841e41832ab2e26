/** Users and the projects they work on, with what a prompt may name there. */
export type Project = {
  name: string;
  language: 'TypeScript' | 'Go' | 'Python' | 'Rust';
  weight: number;
  files: readonly string[];
  things: readonly string[];
};

export const projects: readonly Project[] = [
  {
    name: 'billing-api',
    language: 'TypeScript',
    weight: 6,
    files: [
      'src/invoices/create.ts',
      'src/tax/vat.ts',
      'src/routes/refunds.ts',
      'src/db/ledger.ts',
    ],
    things: [
      'the refund endpoint',
      'invoice numbering',
      'VAT rounding',
      'the dunning job',
      'webhook retries',
    ],
  },
  {
    name: 'storefront',
    language: 'TypeScript',
    weight: 5,
    files: [
      'app/cart/page.tsx',
      'app/checkout/form.tsx',
      'lib/price.ts',
      'components/search-box.tsx',
    ],
    things: [
      'the cart drawer',
      'the checkout form',
      'product search',
      'the size picker',
      'image loading',
    ],
  },
  {
    name: 'ingest-worker',
    language: 'Go',
    weight: 4,
    files: [
      'cmd/ingest/main.go',
      'internal/queue/consumer.go',
      'internal/parse/csv.go',
      'internal/retry/backoff.go',
    ],
    things: [
      'the queue consumer',
      'CSV parsing',
      'the retry backoff',
      'the dead-letter topic',
      'batch commits',
    ],
  },
  {
    name: 'ranking-model',
    language: 'Python',
    weight: 3,
    files: [
      'ranking/train.py',
      'ranking/features.py',
      'ranking/serve.py',
      'notebooks/offline_eval.py',
    ],
    things: [
      'feature drift',
      'the offline evaluation',
      'the serving cache',
      'label leakage',
      'the nightly training',
    ],
  },
  {
    name: 'edge-proxy',
    language: 'Rust',
    weight: 2,
    files: ['src/listener.rs', 'src/tls/session.rs', 'src/route/table.rs', 'src/metrics.rs'],
    things: [
      'TLS session resumption',
      'the route table',
      'connection draining',
      'header limits',
      'the metrics endpoint',
    ],
  },
  {
    name: 'platform-infra',
    language: 'Go',
    weight: 3,
    files: [
      'terraform/eu/main.tf',
      'charts/api/values.yaml',
      '.github/workflows/release.yml',
      'scripts/rotate.sh',
    ],
    things: [
      'the release pipeline',
      'node autoscaling',
      'certificate rotation',
      'the staging cluster',
      'backup restores',
    ],
  },
];

export type User = { id: string; weight: number };

export const users: readonly User[] = [
  { id: 'amira.haddad', weight: 6 },
  { id: 'jonas.lindqvist', weight: 5 },
  { id: 'priya.raman', weight: 5 },
  { id: 'tomás.ferreira', weight: 4 },
  { id: 'mei.tanaka', weight: 4 },
  { id: 'oluwaseun.adeyemi', weight: 3 },
  { id: 'katarzyna.nowak', weight: 3 },
  { id: 'li.wei', weight: 3 },
  { id: 'sam.oconnor', weight: 2 },
  { id: 'ci-bot', weight: 4 },
];
