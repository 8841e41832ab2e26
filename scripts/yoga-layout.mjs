// yoga-layout for a bundle of CommonJS: the package awaits its WASM at its top level. Here who needs it calls loadYoga first.
import load from '../node_modules/yoga-layout/dist/binaries/yoga-wasm-base64-esm.js';
import wrapAssembly from '../node_modules/yoga-layout/dist/src/wrapAssembly.js';

export * from '../node_modules/yoga-layout/dist/src/generated/YGEnums.js';

let yoga;
let loading;

export { yoga as default };

export function loadYoga() {
  loading ??= load().then((assembly) => (yoga = wrapAssembly(assembly)));
  return loading;
}
