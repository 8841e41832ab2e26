import ts from 'typescript';

/**
 * Refuses to make numbers of texts by what JavaScript has for it: `Number('1005254182451511297')` is another number, and
 * a bigint of the database comes as such a text. `readNumber` gives no number then, `exactNumber` keeps its digits.
 */
export const numberOfText = {
  meta: {
    type: 'problem',
    schema: [],
    messages: {
      number:
        'A number beyond 2^53 becomes another one here: take readNumber or exactNumber of src/core.',
    },
  },
  create(context) {
    const services = context.sourceCode.parserServices;
    const isText = (node) => {
      const type = services.getTypeAtLocation(node);
      return (type.isUnion() ? type.types : [type]).some(({ flags }) => flags & textFlags);
    };
    const report = (node) => context.report({ node, messageId: 'number' });
    return {
      'CallExpression, NewExpression'(node) {
        const [value] = node.arguments;
        if (hasOtherBase(node)) return;
        if (isMaker(node.callee) && value && (value.type === 'SpreadElement' || isText(value))) {
          report(node);
        }
        // `texts.map(Number)`
        for (const argument of node.arguments) if (isMaker(argument)) report(argument);
      },
      'UnaryExpression[operator="+"]'(node) {
        if (isText(node.argument)) report(node);
      },
    };
  },
};

const textFlags =
  ts.TypeFlags.StringLike | ts.TypeFlags.BigIntLike | ts.TypeFlags.Any | ts.TypeFlags.Unknown;

/** Digits of a hash or of a header, `parseInt(digits, 16)`: no number of the database is written so. */
const hasOtherBase = ({ arguments: [, base] }) => base?.type === 'Literal' && base.value !== 10;

const makers = /^(?:Number|parseInt|parseFloat)$/;

/** `Number`, `parseInt`, `Number.parseFloat`, `globalThis.parseInt`. */
function isMaker(node) {
  if (node.type === 'Identifier') return makers.test(node.name);
  if (node.type !== 'MemberExpression' || node.property.type !== 'Identifier') return false;
  return (
    !node.computed &&
    node.object.type === 'Identifier' &&
    /^(?:Number|globalThis)$/.test(node.object.name) &&
    makers.test(node.property.name)
  );
}
