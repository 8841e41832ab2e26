import type { FlagDeclarations } from './command.js';

/** The flags of every command that compares prompts. */
export const embeddingFlags = {
  embedding: {
    type: 'string',
    value: 'WHICH',
    description: 'hash (default), the URL of an OpenAI-compatible endpoint, or local:FOLDER',
  },
  embeddingModel: {
    type: 'string',
    value: 'NAME',
    description: "the endpoint's model, as text-embedding-3-small",
  },
} as const satisfies FlagDeclarations;
