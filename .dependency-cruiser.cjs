/**
 * The layers of src/, top to bottom. A file may import its own layer and those below it.
 * src/shared holds what has no layer (formatting, types of results) and imports none of them.
 */
const layers = ['cli', 'ui', 'terminal', 'live', 'panes', 'maintenance', 'demo', 'deploy', 'db'];

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
      name: 'shared-has-no-layer',
      severity: 'error',
      from: { path: '^src/(shared|sql)/' },
      to: { path: `^src/(${layers.join('|')})/` },
    },
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-orphan-layer',
      severity: 'error',
      comment: 'Every file of src/ belongs to a layer of DESIGN.',
      from: { path: '^src/', pathNot: `^src/(${[...layers, 'shared', 'sql'].join('|')})/` },
      to: {},
    },
    {
      name: 'ui-only-react',
      severity: 'error',
      comment: 'Below ui nothing knows React or Ink, so that commands start without them.',
      from: { path: '^src/(live|panes|maintenance|deploy|db|shared)/' },
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
