import type { Project } from './projects.js';

/** Code that people paste into prompts. */
export const snippets: Readonly<Record<Project['language'], readonly string[]>> = {
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
