// A URL with a password; password=… of a connection string or an environment; "password": "…".
const inUrl = /(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]*:)[^\s@/]+(?=@)/gi;
const inPair =
  /((?:password|passwd|secret|token|api_?key)["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;&}]+)/gi;

/** A text without the passwords and tokens that libraries write into messages. */
export function redactSecrets(text: string): string {
  return text.replace(inUrl, '$1***').replace(inPair, '$1***');
}
