import js from '@eslint/js';
import reactHooks from 'eslint-plugin-react-hooks';
import globals from 'globals';
import tseslint from 'typescript-eslint';
import { lookupByData } from './scripts/lint/lookup-by-data.js';

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
    // Here are the two functions that others are to take.
    ignores: ['src/core/values.ts'],
    plugins: { ours: { rules: { 'lookup-by-data': lookupByData } } },
    rules: { 'ours/lookup-by-data': 'error' },
  },
  {
    // What the database holds is shown and copied to the digit; JSON of JavaScript rounds.
    files: ['src/panes/**', 'src/ui/**'],
    ignores: ['src/ui/app/run-console.ts'],
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
