import type { Random } from '../random.js';
import { deliverables, reasons, symptoms, type Intent } from './intents.js';

/**
 * A prompt as a person types it: mostly one or two sentences, some with pasted code, some in other
 * scripts, a few with a whole log, a few of two words.
 */
export function writePrompt(
  random: Random,
  intent: Intent,
  project: Project,
  first: boolean,
): string {
  const kind = random.next();
  if (kind < 0.05 && !first) return random.pick(terse);
  if (kind < 0.09) return random.pick(otherLanguages);
  const request = fill(random, random.pick(intent.templates), project);
  if (kind < 0.11) return `${request}\n\nHere is the log:\n${log(random, project)}`;
  if (kind < 0.26) return `${request}\n\n${random.pick(snippets[project.language])}`;
  if (kind < 0.5) return `${request} ${random.pick(deliverables)}`;
  return request;
}

/** What an agent tells the one it hands work to. */
export function writeDelegation(random: Random, intent: Intent, project: Project): string {
  const request = fill(random, random.pick(intent.templates), project);
  return random.chance(0.5) ? request : `${request} Report findings only, change nothing else.`;
}

function fill(random: Random, template: string, project: Project): string {
  return template.replace(/\{(\w+)\}/g, (_, slot: string) => {
    switch (slot) {
      case 'thing':
        return random.pick(project.things);
      case 'file':
        return random.pick(project.files);
      case 'language':
        return project.language;
      case 'project':
        return project.name;
      case 'symptom':
        return random.pick(symptoms);
      case 'reason':
        return random.pick(reasons);
      default:
        return String(random.integer(2, 90));
    }
  });
}

/** 20 to 120 lines of log: the long prompts that a pane must cut. */
function log(random: Random, project: Project): string {
  const lines = [];
  const count = random.integer(20, 120);
  let ms = random.integer(0, 3_600_000);
  for (let index = 0; index < count; index += 1) {
    ms += random.integer(1, 4_000);
    const time = new Date(ms).toISOString().slice(11, 23);
    const level = random.weighted([
      { weight: 8, text: 'INFO ' },
      { weight: 2, text: 'WARN ' },
      { weight: 1, text: 'ERROR' },
    ]).text;
    lines.push(
      `${time} ${level} ${project.name} request=${random.token(8)} took=${random.integer(1, 900)}ms`,
    );
  }
  return lines.join('\n');
}

/** Code that people paste into prompts. */
const snippets: Readonly<Record<Project['language'], readonly string[]>> = {
  TypeScript: [
    '```ts\nconst total = lines.reduce((sum, line) => sum + line.net * (1 + line.vat), 0);\nexpect(total).toBe(119.99); // received 119.99000000000001\n```',
    "```ts\nexport async function refund(id: string) {\n  const row = await db.one('SELECT * FROM refunds WHERE id = $1', [id]);\n  if (row.state === 'done') return row;\n  // two workers get here at once\n  return settle(row);\n}\n```",
  ],
  Go: [
    '```go\nfor msg := range messages {\n\tgo func() { handle(ctx, msg) }()\n}\n// which msg does each goroutine see?\n```',
    '```\npanic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x18]\ngoroutine 41 [running]:\nacme/ingest/internal/retry.(*Backoff).Next(0x0, 0x5)\n\tinternal/retry/backoff.go:58 +0x1c\n```',
  ],
  Python: [
    '```py\nmerged = clicks.merge(items, on="item_id", how="left")\nassert len(merged) == len(clicks)  # AssertionError: 1204331 != 1199872\n```',
    '```\nTraceback (most recent call last):\n  File "ranking/serve.py", line 88, in score\n    return self.cache[key]\nKeyError: ("u-19", "2026-03-29")\n```',
  ],
  Rust: [
    '```rust\nlet guard = self.routes.lock().unwrap();\nlet upstream = guard.find(&host)?;\nupstream.connect().await // guard is held across the await\n```',
  ],
};

/** Prompts of people who do not write in English, or not much. */
export const otherLanguages = [
  '結果の並び順が本番だけ違います。原因を調べて、再現するテストを書いてください。',
  '支付回调偶尔会重复入账，请检查幂等处理并补上测试。',
  '배포 후 응답 시간이 두 배가 됐어요. 무엇이 바뀌었는지 확인해 주세요 🙏',
  'Bitte prüfe, warum die Rechnungsnummern nach dem Neustart springen.',
  'Pourquoi la recherche renvoie-t-elle des doublons quand la requête contient « œuf » ?',
] as const;

/** The short ones. */
export const terse = [
  'fix it',
  'go on',
  'yes, do that',
  'again please',
  '👍 ship it',
  'why?',
  'continue',
] as const;

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
