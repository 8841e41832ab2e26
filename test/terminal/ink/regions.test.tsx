import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { Box, render as renderByInk, Text } from 'ink';
import { render } from 'ink-testing-library';
import { expect, it, vi } from 'vitest';
import { mount } from '../../../src/terminal/ink/mount.js';
import { Screen } from '../../../src/terminal/screen.js';
import type { TerminalSession } from '../../../src/terminal/session.js';
import { Lines } from '../../../src/ui/screen/boxes.js';
import { visibleLines } from '../../e2e/helpers/emulator.js';
import { EmulatedOutput } from '../emulated-output.js';

// In CI Ink would write the last frame only, when it ends; it looks at this when it is loaded.
vi.hoisted(() => (process.env.CI = 'false'));

const tree = (
  <Box width={20} height={4} flexDirection="column" paddingLeft={1}>
    <Text color="red">a text</Text>
    <Text>that wraps where it is long</Text>
    <Lines x={10} y={0} width={6} height={1} lines={[[{ text: 'one' }, { text: ' 1' }]]} />
  </Box>
);

/** What of a session Ink is given. */
function sessionOn(screen: Screen): { session: TerminalSession; end: () => void } {
  const hooks: (() => void)[] = [];
  const session = { screen, onEnd: (hook: () => void) => hooks.push(hook), end: () => undefined };
  return {
    session: session as unknown as TerminalSession,
    end: () => hooks.forEach((hook) => hook()),
  };
}

it('paints the regions and the texts of a tree where Ink lays them out', async () => {
  const output = new EmulatedOutput(20, 4);
  const { session, end } = sessionOn(new Screen(output));
  await mount(session, tree);
  await output.settled();
  expect(visibleLines(output.terminal)).toEqual([
    ' a text    one 1',
    ' that wraps where it',
    ' is long',
    '',
  ]);
  end();
});

it('gives their texts to any other renderer of Ink', () => {
  const { lastFrame, unmount } = render(tree);
  expect(lastFrame()).toContain('a text    one 1');
  unmount();
});

/** A terminal that keeps what Ink writes. */
class WrittenOutput extends EventEmitter {
  readonly isTTY = true;
  readonly columns = 80;
  readonly rows = 24;
  text = '';

  write(text: string, done?: () => void): boolean {
    this.text += text;
    if (done) process.nextTick(done);
    return true;
  }
}

it('is needed as long as Ink writes every line where one has changed', async () => {
  const output = new WrittenOutput();
  const lines = (first: string) => (
    <Box flexDirection="column">
      <Text>{first}</Text>
      <Text>another line</Text>
    </Box>
  );
  const { rerender, unmount } = renderByInk(lines('before'), {
    stdout: output as unknown as NodeJS.WriteStream,
    stdin: new PassThrough() as unknown as NodeJS.ReadStream,
    patchConsole: false,
    exitOnCtrlC: false,
  });
  await vi.waitFor(() => expect(output.text).toContain('before'), 50_000);
  output.text = '';
  rerender(lines('after'));
  await vi.waitFor(() => expect(output.text).toContain('after'), 50_000);
  // Where this fails, measure the console with Ink's own painting in place of mount(). Its option incrementalRendering
  // writes less, but leaves a stale line in 6.8.
  expect(output.text).toContain('another line');
  unmount();
});
