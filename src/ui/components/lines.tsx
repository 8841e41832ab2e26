import { Box, Text } from 'ink';
import type { Rectangle } from '../layout/layout.js';

/**
 * Ready-drawn lines at a place of the screen. One text a region: a text a cell costs twice as much to
 * lay out. The lines are as wide as the region, so that nothing wraps.
 */
export function Lines({ text, x, y, width, height }: { text: string } & Rectangle) {
  return (
    <Box position="absolute" marginLeft={x} marginTop={y} width={width} height={height}>
      <Text>{text}</Text>
    </Box>
  );
}
