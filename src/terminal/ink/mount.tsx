import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { DOMElement, render } from 'ink';
import { createElement, type ReactNode, createContext, type ReactElement } from 'react';
import type { Screen } from '../screen.js';
import { sessionExitCodes, type TerminalSession } from '../session.js';
import type { Line, Region } from '../painter.js';
import { wrapText } from '../width.js';

/**
 * Runs an element with Ink in a session. Ink renders the components and lays out their regions; what
 * it lays out, the session's screen paints. Ink's exit() ends the session: without an error as `q`
 * does, with one as a crash. An error in a component ends it, too.
 *
 * Ink's own painting is left with nothing to do. It builds every frame anew as one string with colour
 * codes, character by character: 48 ms for 200×60 on a busy machine where the screen takes 1 ms.
 * Everything stands in an absolute box, so that for Ink the output has no height.
 */
export async function mount(session: TerminalSession, element: ReactNode): Promise<void> {
  const renderWithInk = await loadInk();
  let root: DOMElement | null = null;
  const paint = () => {
    if (root) session.screen.show(frameOf(root));
  };
  const attach = (node: DOMElement | null) => {
    root = node;
    // The first layout is done before there is a reference to its root.
    paint();
  };
  const app = createElement('ink-box', { ref: attach, style: { position: 'absolute' } }, element);
  const instance = renderWithInk(<PaintedContext value={true}>{app}</PaintedContext>, {
    stdout: new InkOutput(session.screen) as unknown as NodeJS.WriteStream,
    // Keys come from the session; this stream never has any.
    stdin: new PassThrough() as unknown as NodeJS.ReadStream,
    // Not throttled: each commit is a frame.
    debug: true,
    onRender: paint,
    exitOnCtrlC: false,
    patchConsole: false,
    isScreenReaderEnabled: false,
  });
  session.onEnd(() => instance.unmount());
  instance.waitUntilExit().then(
    () => session.end(sessionExitCodes.quit),
    (error: unknown) => session.end(sessionExitCodes.crash, error),
  );
}

let loading: Promise<typeof render> | undefined;

/** Loads Ink, with turns of the event loop between its parts: what comes from the server meanwhile is answered. */
export function loadInk(): Promise<typeof render> {
  loading ??= (async () => {
    // In the bundle Ink cannot wait for the engine of its layout by itself.
    const layoutEngine = import('yoga-layout/load').then(({ loadYoga }) => loadYoga());
    await nextTurn();
    const ink = await import('ink');
    await layoutEngine;
    return ink.render;
  })();
  return loading;
}

/** The output in Ink's eyes: it has the screen's size, and nothing that is written to it is shown. */
class InkOutput extends EventEmitter {
  readonly isTTY = true;
  readonly #screen: Screen;

  constructor(screen: Screen) {
    super();
    this.#screen = screen;
    screen.on('resize', () => this.emit('resize'));
  }

  get columns(): number {
    return this.#screen.columns;
  }

  get rows(): number {
    return this.#screen.rows;
  }

  write(_text: string, done?: () => void): boolean {
    if (done) process.nextTick(done);
    return true;
  }
}

type InkNode = DOMElement['childNodes'][number];

/** Whether a session's screen paints the tree (see mount). Else it is Ink itself, as in a unit test. */
export const PaintedContext = createContext(false);

/** A region as an element of Ink's tree: a box that Ink lays out, with its lines as an attribute. */
export function regionElement({ lines, ...region }: Region): ReactElement {
  return createElement('ink-box', { style: regionStyle(region), lines });
}

/**
 * A text at a place of the screen for Ink's own renderer. These elements are Ink's; its components are
 * not imported here, because Ink takes 150 ms to load and the views are needed before.
 */
export function textElement({ text, ...region }: Omit<Region, 'lines'> & { text: string }) {
  const drawn = createElement('ink-text', { style: { textWrap: 'truncate' } }, text);
  return createElement('ink-box', { style: regionStyle(region) }, drawn);
}

/** The style of a box at a place of the screen. */
function regionStyle({ x, y, width, height }: Omit<Region, 'lines'>) {
  return { position: 'absolute', marginLeft: x, marginTop: y, width, height } as const;
}

/**
 * What a laid-out tree of Ink shows, from back to front: the lines of its regions, and Ink's texts
 * without their colours.
 */
function frameOf(root: DOMElement): Region[] {
  const regions: Region[] = [];
  collect(root, 0, 0, regions);
  return regions;
}

function collect(node: DOMElement, left: number, top: number, regions: Region[]): void {
  const layout = node.yogaNode?.getComputedLayout();
  if (!layout) return;
  const { width, height } = layout;
  const [x, y] = [left + layout.left, top + layout.top];
  if (node.nodeName === 'ink-text') {
    const lines = wrapText(textOf(node), width).map((text) => [{ text }]);
    regions.push({ x, y, width, height, lines });
    return;
  }
  const { lines } = node.attributes as { lines?: readonly Line[] };
  if (lines) regions.push({ x, y, width, height, lines });
  for (const child of node.childNodes) {
    if (child.nodeName !== '#text') collect(child, x, y, regions);
  }
}

function textOf(node: InkNode): string {
  return node.nodeName === '#text' ? node.nodeValue : node.childNodes.map(textOf).join('');
}
