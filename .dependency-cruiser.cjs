/**
 * The layers of src/, top to bottom. A file may import its own layer and those below it.
 * src/core holds what has no layer (formatting, types of results) and imports none of them.
 */
const layers = [
  'cli',
  'ui',
  'terminal',
  'live',
  'panes',
  'maintenance',
  'learning',
  'ingest',
  'demo',
  'deploy',
  'embedded',
  'db',
];

const upward = layers.slice(1).map((layer, index) => ({
  name: `${layer}-imports-down-only`,
  severity: 'error',
  comment: `src/${layer} may import only the layers below it.`,
  from: { path: `^src/${layer}/` },
  to: { path: `^src/(${layers.slice(0, index + 1).join('|')})/` },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...upward,
    {
      name: 'core-has-no-layer',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { path: `^src/(${layers.join('|')})/` },
    },
    ...['embedded', 'demo'].map((program) => ({
      name: `${program}-by-its-door`,
      severity: 'error',
      comment: `src/${program} is a program of its own: others import its index.ts only.`,
      from: { path: '^src/', pathNot: `^src/${program}/` },
      to: { path: `^src/${program}/`, pathNot: `^src/${program}/index[.]ts$` },
    })),
    {
      name: 'no-circular',
      severity: 'error',
      comment: 'No circle of imports, those of types included.',
      from: {},
      to: { circular: true },
    },
    {
      name: 'ui-context-without-implementation',
      severity: 'error',
      comment: 'Views and commands know the app by its interface only.',
      from: { path: '^src/ui/(context|keymap)[.]ts$' },
      to: { path: '^src/ui/(app|views|commands|screen)/' },
    },
    {
      name: 'ui-draw-below-views',
      severity: 'error',
      comment: 'What draws lines and what holds state know no view, no command and no app.',
      from: { path: '^src/ui/(draw|model|layout)/' },
      to: { path: '^src/ui/((app|views|commands|screen)/|context[.]ts$)' },
    },
    {
      name: 'ui-words-at-the-bottom',
      severity: 'error',
      comment: 'Keys, colours and shared texts know nothing of what uses them.',
      from: { path: '^src/ui/(keymap|theme|strings)[.]ts$' },
      to: { path: '^src/ui/' },
    },
    {
      name: 'ui-screen-below-views',
      severity: 'error',
      comment:
        'The boxes that views are drawn in, and the root that draws the focused one, know no view by name.',
      from: { path: '^src/ui/screen/' },
      to: { path: '^src/ui/(app|views)/' },
    },
    {
      name: 'ui-app-on-top',
      severity: 'error',
      comment: 'Only what opens the console makes the app.',
      from: { path: '^src/ui/(?!app/|open-console[.]ts$)' },
      to: { path: '^src/ui/app/' },
    },
    {
      name: 'no-orphan-layer',
      severity: 'error',
      comment: 'Every file of src/ belongs to a layer.',
      from: { path: '^src/', pathNot: `^src/(${[...layers, 'core'].join('|')})/` },
      to: {},
    },
    {
      name: 'ui-only-react',
      severity: 'error',
      comment: 'Below ui nothing knows React or Ink, so that commands start without them.',
      from: { path: '^src/(live|panes|maintenance|learning|ingest|demo|deploy|embedded|db|core)/' },
      to: { path: 'node_modules/(ink|react)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
};
