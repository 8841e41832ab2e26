/**
 * Splits the text of an SQL file into its statements. Knows what can hide a semicolon: quoted
 * strings and identifiers, dollar-quoted bodies, comments. The schema's files have no
 * `standard_conforming_strings = off` strings and no BEGIN ATOMIC bodies.
 */
export function splitStatements(sql: string): string[] {
  const statements: string[] = [];
  // One token: something that may hold a semicolon, or a semicolon, or a run of anything else.
  const token =
    /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|;|[^;'"$/-]+|[\s\S]/g;
  let start = 0;
  for (let match = token.exec(sql); match; match = token.exec(sql)) {
    if (match[0] !== ';') continue;
    statements.push(sql.slice(start, match.index).trim());
    start = token.lastIndex;
  }
  statements.push(sql.slice(start).trim());
  return statements.filter((statement) => withoutComments(statement) !== '');
}

function withoutComments(statement: string): string {
  return statement.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, '').trim();
}
