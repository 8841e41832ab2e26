import ts from 'typescript';

/**
 * Refuses a key that is any text on an object that inherits from `Object.prototype`: a status called `constructor`
 * finds a function there, and one called `__proto__` sets what the object inherits from.
 *
 * A key is data when its type is `string`, or when it was made another type by `as`. A union of literals is a list
 * that somebody wrote; numbers name nothing that is inherited.
 */
export const lookupByData = {
  meta: {
    type: 'problem',
    schema: [],
    messages: {
      lookup:
        'The key may be any text, also `constructor` or `__proto__`: take a Map, byOwnKey or setOwnKey, or check that it is one of a list.',
      inherited: '`in` finds what every object inherits: take Object.hasOwn, or a Map.',
      copied: 'Object.assign lets `__proto__` of the source set the prototype: take a spread.',
    },
  },
  create(context) {
    const services = context.sourceCode.parserServices;
    const checker = services.program.getTypeChecker();

    /** Also a type parameter stands for what it may be. */
    const typeOf = (node) => {
      const type = services.getTypeAtLocation(node);
      return type.flags & ts.TypeFlags.TypeParameter
        ? (checker.getBaseConstraintOfType(type) ?? type)
        : type;
    };
    const parts = (type) => (type.isUnion() ? type.types : [type]);
    const isAnyText = (type) =>
      parts(type).some((part) => {
        const whole = part.isIntersection() ? part.types : [part];
        if (whole.some(({ flags }) => flags & (ts.TypeFlags.Index | ts.TypeFlags.StringLiteral))) {
          return false;
        }
        return whole.some(({ flags }) => flags & anyText);
      });

    /** What the key was before `as`, also where a constant is named in its place. */
    const isData = (key) => {
      if (key.type === 'TSNonNullExpression') return isData(key.expression);
      if (isAnyText(typeOf(key))) return true;
      const written = key.type === 'Identifier' ? initializer(context, key) : key;
      return written?.type === 'TSAsExpression' && isAnyText(typeOf(written.expression));
    };

    const inherits = (type) => parts(type).some((part) => part.getStringIndexType() !== undefined);
    // Without an index signature the compiler lets any text pass on a literal (`{ low: 1 }[level]`), and after `as`.
    const isLookup = (object, key) =>
      isData(key) && parts(typeOf(object)).some((part) => !checker.isArrayLikeType(part));

    return {
      MemberExpression(node) {
        if (!node.computed || isDeleted(node)) return;
        if (isLookup(node.object, node.property)) {
          context.report({ node: node.property, messageId: 'lookup' });
        }
      },
      'ObjectPattern > Property[computed=true]'(node) {
        if (isLookup(node.parent, node.key)) {
          context.report({ node: node.key, messageId: 'lookup' });
        }
      },
      'BinaryExpression[operator="in"]'(node) {
        if (node.left.type === 'PrivateIdentifier' || !isData(node.left)) return;
        context.report({ node: node.left, messageId: 'inherited' });
      },
      'CallExpression[callee.object.name="Object"][callee.property.name="assign"]'(node) {
        const sources = node.arguments.slice(1);
        const bad = sources.find(
          (source) => source.type !== 'SpreadElement' && inherits(typeOf(source)),
        );
        if (bad) context.report({ node: bad, messageId: 'copied' });
      },
      'CallExpression[callee.object.name="Reflect"][callee.property.name=/^(?:get|set|has)$/]'(
        node,
      ) {
        const [object, key] = node.arguments;
        if (object && key && isData(key)) {
          context.report({ node: key, messageId: 'lookup' });
        }
      },
    };
  },
};

const anyText =
  ts.TypeFlags.String |
  ts.TypeFlags.Any |
  ts.TypeFlags.Unknown |
  ts.TypeFlags.TemplateLiteral |
  ts.TypeFlags.StringMapping;

/** Only what is the object's own can be deleted. */
function isDeleted({ parent }) {
  return parent.type === 'UnaryExpression' && parent.operator === 'delete';
}

function initializer(context, identifier) {
  let scope = context.sourceCode.getScope(identifier);
  for (; scope; scope = scope.upper) {
    const definition = scope.set.get(identifier.name)?.defs[0];
    if (definition)
      return definition.parent?.kind === 'const' && definition.node.id.type === 'Identifier'
        ? definition.node.init
        : undefined;
  }
  return undefined;
}
