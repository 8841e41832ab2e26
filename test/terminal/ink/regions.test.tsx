import { Box, Text } from 'ink';
import { render } from 'ink-testing-library';
import { expect, it } from 'vitest';
import { mount } from '../../../src/terminal/ink/mount.js';
import { Screen } from '../../../src/terminal/screen.js';
import type { TerminalSession } from '../../../src/terminal/session.js';
import { Lines } from '../../../src/ui/screen/boxes.js';
import { visibleLines } from '../../e2e/helpers/emulator.js';
import { EmulatedOutput } from '../emulated-output.js';

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
