import { boundedText } from '../../db/quote.js';

/** Characters of what a tool was given that are read. */
const most = 200;

/** What programs and their tools call the same thing, as columns of the input; the first that is there is shown. */
const given = {
  patterns: ['pattern', 'regex', 'glob_pattern', 'globPattern'],
  queries: ['query', 'search_query', 'search_term', 'q'],
  files: [
    ...['file_path', 'notebook_path', 'absolute_path', 'filePath', 'target_file', 'path'],
    ...['file_paths', 'paths', 'dir_path', 'directory', 'target_directory'],
  ],
  urls: ['url', 'uri'],
  texts: ['prompt', 'message', 'text', 'title', 'subject', 'description', 'explanation', 'fact'],
  patches: ['input', 'patch'],
  ids: ['chars', 'bash_id', 'shell_id', 'task_id', 'taskId', 'session_id'],
};
const agents = ['subagent_type', 'agent_type', 'agent_name', 'agentName'];
const tasks = ['description', 'prompt', 'message', 'objective', 'task'];
const json = ['command', 'cmd', 'script', 'questions', 'todos', 'plan', 'skill', 'args'];

const asText = [...new Set([...Object.values(given).flat(), ...agents, ...tasks])];
const columns = [
  ...json.map((name) => `"${name}" jsonb`),
  ...asText.map((name) => `"${name}" text`),
].join(', ');

const first = (names: readonly string[]) =>
  `COALESCE(${names.map((name) => `NULLIF(i."${name}", '')`).join(', ')})`;

/** A command is a text, or a list of words of which `bash -lc` has the text last. */
const command = (
  name: string,
) => `CASE WHEN jsonb_typeof(i."${name}") <> 'array' THEN i."${name}" #>> '{}'
      WHEN i."${name}" ->> 1 IN ('-c', '-lc') THEN i."${name}" ->> 2
      ELSE (SELECT string_agg(word, ' ') FROM jsonb_array_elements_text(i."${name}") AS word) END`;

/** `5 items: what is being done`; a plan may be one text. */
const list = (
  name: string,
) => `CASE WHEN jsonb_typeof(i."${name}") <> 'array' THEN i."${name}" #>> '{}'
      ELSE jsonb_array_length(i."${name}") || CASE jsonb_array_length(i."${name}") WHEN 1 THEN ' item' ELSE ' items' END || COALESCE((
        SELECT ': ' || COALESCE(item ->> 'content', item ->> 'step', item ->> 'description')
        FROM jsonb_array_elements(i."${name}") AS item WHERE item ->> 'status' = 'in_progress' LIMIT 1), '') END`;

/**
 * What a tool was given, in a line: the command of a shell, the words of a search, the file, the page, the task of a
 * subagent; of tools that nobody knows the beginning of their input as JSON. NULL for anything else than a use of a tool.
 * The input is looked at once (jsonb_to_record): it may be 64 kB, stored compressed.
 */
export function toolInputText(column: (name: string, type: string) => string): string {
  const input = column('input_data', 'jsonb');
  const found = `COALESCE(
      ${command('command')}, ${command('cmd')}, ${command('script')},
      ${first(given.patterns)} || COALESCE(' in ' || ${first(given.files)}, ''),
      ${first(given.queries)},
      ${first(agents)} || COALESCE(': ' || ${first(tasks)}, ''),
      ${first(given.files)}, ${first(given.urls)},
      i.skill #>> '{}' || COALESCE(' ' || (i.args #>> '{}'), ''),
      i.questions -> 0 ->> 'question', ${list('todos')}, ${list('plan')},
      ${first(given.texts)}, ${first(given.patches)}, ${first(given.ids)})`;
  return `CASE WHEN ${column('hook_type', 'text')} = 'ToolUse' THEN (
    SELECT ${boundedText('told.input', most)} FROM (
      SELECT CASE jsonb_typeof(${input}) WHEN 'object' THEN COALESCE((
        SELECT ${found} FROM jsonb_to_record(${input}) AS i (${columns})), NULLIF(${input}::text, '{}'))
      ELSE ${input} #>> '{}' END AS input OFFSET 0) AS told) END`;
}

/**
 * How long a hook, a tool or a call took; NULL where a program's files tell no more than that it was: their rows begin and end
 * at the same moment. `facts`: the column that says where a row is from.
 */
export function knownDuration(
  column: (name: string, type: string) => string,
  facts: 'metadata' | 'context',
): string {
  const duration = column('duration_ms', 'bigint');
  return `CASE WHEN ${duration} = 0 AND ${column(facts, 'jsonb')} ? 'from' THEN NULL ELSE ${duration} END`;
}
