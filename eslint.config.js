import js from '@eslint/js';
import reactHooks from 'eslint-plugin-react-hooks';
import globals from 'globals';
import tseslint from 'typescript-eslint';
import { lookupByData } from './scripts/lint/lookup-by-data.js';
import { numberOfText } from './scripts/lint/number-of-text.js';

export default tseslint.config(
  { ignores: ['dist', 'coverage', 'examples', 'src/*/*.generated.ts'] },
  js.configs.recommended,
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [...tseslint.configs.strictTypeChecked, ...tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { 'react-hooks': reactHooks },
    rules: {
      ...reactHooks.configs.recommended.rules,
      // Counts and durations are printed all the time; numbers in templates are not a mistake here.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      // Row types of a statement are plain objects; both spellings read well.
      '@typescript-eslint/consistent-type-definitions': 'off',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'max-lines': ['error', { max: 350, skipBlankLines: true, skipComments: true }],
      eqeqeq: ['error', 'always'],
    },
  },
  {
    files: ['src/**'],
    plugins: {
      ours: { rules: { 'lookup-by-data': lookupByData, 'number-of-text': numberOfText } },
    },
  },
  {
    files: ['src/**'],
    // Here is what others are to take.
    ignores: ['src/core/values.ts'],
    rules: { 'ours/lookup-by-data': 'error' },
  },
  {
    files: ['src/**'],
    ignores: [
      // Here is what others are to take.
      'src/core/values.ts',
      'src/core/exact-json.ts',
      // What the server sends as numeric: a fraction is rounded, a whole number beyond 2^53 is not.
      'src/db/connection/client-config.ts',
    ],
    rules: { 'ours/number-of-text': 'error' },
  },
  {
    // What the database holds is shown, copied and moved to the digit; JSON of JavaScript rounds.
    files: ['src/**'],
    ignores: [
      'src/core/exact-json.ts',
      // Files and messages that the console itself has written: no number in them is beyond 2^53.
      'src/core/{folder-lock,version}.ts',
      'src/cli/demo-companion.ts',
      'src/embedded/**',
      'src/ingest/collector/status-file.ts',
      'src/ingest/hook/main.ts',
      'src/ingest/install/change.ts',
      'src/ingest/prices.ts',
      'src/ingest/writer/values.ts',
      'src/learning/learner/publish.ts',
      'src/ui/app/run-console.ts',
      // A recording has exact numbers as texts.
      'src/live/recording/{frame,recording}.ts',
      // Lines of an archive are checked here; what is written and restored are the lines themselves.
      'src/maintenance/archive/{export-file,export-trees}.ts',
      // What is only looked at; where something is taken out of it, redact.ts reads it again.
      'src/ingest/{discover,lines}.ts',
      'src/ingest/hook/record.ts',
      'src/ingest/sources/codex-values.ts',
      // Vectors of an endpoint: float4 has seven digits.
      'src/learning/embedding/choose.ts',
    ],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'JSON', property: 'parse', message: 'parseExactJson keeps every digit.' },
      ],
    },
  },
  {
    files: ['**/*.js', '**/*.mjs', '**/*.cjs'],
    languageOptions: { globals: globals.node },
  },
);
