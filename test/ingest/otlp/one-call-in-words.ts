export const message = (role: string, content: string) => ({
  role,
  parts: [{ type: 'text', content }],
});

const openInferenceTokens = {
  'llm.token_count.prompt': 100,
  'llm.token_count.prompt_details.cache_read': 60,
  'llm.token_count.prompt_details.cache_write': 10,
  'llm.token_count.completion': 5,
};

/** One call of a model and one of a tool, below a root, in the words of each convention: all mean the same. */
export const oneCallInWords: readonly [
  convention: string,
  root: object,
  model: object,
  tool: object,
][] = [
  [
    'OpenTelemetry',
    { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.conversation.id': 's1' },
    {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.response.model': 'gpt-5.5',
      'gen_ai.input.messages': JSON.stringify([
        message('system', 'be kind'),
        message('user', 'hello'),
      ]),
      'gen_ai.usage.input_tokens': 100,
      'gen_ai.usage.cache_read.input_tokens': 60,
      'gen_ai.usage.cache_creation.input_tokens': 10,
      'gen_ai.usage.output_tokens': 5,
    },
    {
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'search',
      'gen_ai.tool.call.arguments': '{"q":1}',
      'gen_ai.tool.call.result': '"found"',
    },
  ],
  [
    'OpenInference',
    {
      'openinference.span.kind': 'CHAIN',
      'session.id': 's1',
      'input.value': '{"inputs":{"question":"hello"}}',
    },
    {
      'openinference.span.kind': 'LLM',
      'llm.provider': 'openai',
      'llm.model_name': 'gpt-5.5',
      ...openInferenceTokens,
    },
    {
      'openinference.span.kind': 'TOOL',
      'tool.name': 'search',
      'input.value': '{"q":1}',
      'output.value': 'found',
    },
  ],
  [
    'OpenLLMetry',
    {
      'traceloop.span.kind': 'workflow',
      'traceloop.association.properties.session_id': 's1',
      'traceloop.entity.input': '{"inputs":{"input":"hello"}}',
    },
    {
      'llm.request.type': 'chat',
      'gen_ai.system': 'OpenAI',
      'gen_ai.request.model': 'gpt-5.5',
      'gen_ai.usage.prompt_tokens': '100',
      'gen_ai.usage.cache_read_input_tokens': 60,
      'gen_ai.usage.cache_creation_input_tokens': 10,
      'gen_ai.usage.completion_tokens': '5',
    },
    {
      'traceloop.span.kind': 'tool',
      'traceloop.entity.name': 'search',
      'traceloop.entity.input': '{"q":1}',
      'traceloop.entity.output': 'found',
    },
  ],
  [
    'the first conventions',
    { 'session.id': 's1' },
    {
      'gen_ai.operation.name': 'chat',
      'gen_ai.system': 'openai',
      'gen_ai.request.model': 'gpt-5.5',
      'gen_ai.prompt.0.role': 'user',
      'gen_ai.prompt.0.content': 'hello',
      'llm.usage.prompt_tokens': 100,
      'gen_ai.usage.cache_read_input_tokens': 60,
      'gen_ai.usage.cache_creation_input_tokens': 10,
      'llm.usage.completion_tokens': 5,
    },
    {
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'search',
      'input.value': '{"q":1}',
      'output.value': 'found',
    },
  ],
  [
    'OpenTelemetry since cache_write',
    { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.conversation.id': 's1' },
    {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'openai',
      'gen_ai.request.model': 'gpt-5.5',
      'gen_ai.input.messages': JSON.stringify([message('user', 'hello')]),
      'gen_ai.usage.input_tokens': 100,
      'gen_ai.usage.cache_read.input_tokens': 60,
      'gen_ai.usage.cache_write.input_tokens': 10,
      'gen_ai.usage.output_tokens': 5,
    },
    {
      'gen_ai.operation.name': 'execute_tool',
      'gen_ai.tool.name': 'search',
      'gen_ai.tool.call.arguments': '{"q":1}',
      'gen_ai.tool.call.result': '"found"',
    },
  ],
  [
    'OpenInference with messages in parts',
    { 'openinference.span.kind': 'AGENT', 'session.id': 's1' },
    {
      'openinference.span.kind': 'LLM',
      'llm.system': 'openai',
      'llm.request.model_name': 'gpt-5',
      'llm.response.model_name': 'gpt-5.5',
      'llm.input_messages.0.message.role': 'user',
      'llm.input_messages.0.message.contents.0.message_content.type': 'text',
      'llm.input_messages.0.message.contents.0.message_content.text': 'hello',
      ...openInferenceTokens,
    },
    {
      'openinference.span.kind': 'TOOL',
      'tool.name': 'search',
      'tool.parameters': '{"q":1}',
      'output.value': 'found',
    },
  ],
  [
    'OpenLLMetry before gen_ai',
    { 'traceloop.span.kind': 'workflow', 'traceloop.association.properties.session_id': 's1' },
    {
      'llm.request.type': 'chat',
      'llm.vendor': 'OpenAI',
      'llm.request.model': 'gpt-5',
      'llm.response.model': 'gpt-5.5',
      'llm.prompts.0.role': 'user',
      'llm.prompts.0.content': 'hello',
      'llm.usage.prompt_tokens': 100,
      'gen_ai.usage.cache_read_input_tokens': 60,
      'gen_ai.usage.cache_write_input_tokens': 10,
      'llm.usage.completion_tokens': 5,
    },
    {
      'traceloop.span.kind': 'tool',
      'traceloop.entity.name': 'search',
      'traceloop.entity.input': '{"q":1}',
      'traceloop.entity.output': 'found',
    },
  ],
];
