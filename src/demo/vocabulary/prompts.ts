import type { Random } from '../random.js';
import { deliverables, reasons, symptoms, type Intent } from './intents.js';
import type { Project } from './projects.js';
import { otherLanguages, snippets, terse } from './snippets.js';

/**
 * A prompt as a person types it: mostly one or two sentences, some with pasted code, some in other
 * scripts, a few with a whole log, a few of two words.
 */
export function writePrompt(
  random: Random,
  intent: Intent,
  project: Project,
  first: boolean,
): string {
  const kind = random.next();
  if (kind < 0.05 && !first) return random.pick(terse);
  if (kind < 0.09) return random.pick(otherLanguages);
  const request = fill(random, random.pick(intent.templates), project);
  if (kind < 0.11) return `${request}\n\nHere is the log:\n${log(random, project)}`;
  if (kind < 0.26) return `${request}\n\n${random.pick(snippets[project.language])}`;
  if (kind < 0.5) return `${request} ${random.pick(deliverables)}`;
  return request;
}

/** What an agent tells the one it hands work to. */
export function writeDelegation(random: Random, intent: Intent, project: Project): string {
  const request = fill(random, random.pick(intent.templates), project);
  return random.chance(0.5) ? request : `${request} Report findings only, change nothing else.`;
}

function fill(random: Random, template: string, project: Project): string {
  return template.replace(/\{(\w+)\}/g, (_, slot: string) => {
    switch (slot) {
      case 'thing':
        return random.pick(project.things);
      case 'file':
        return random.pick(project.files);
      case 'language':
        return project.language;
      case 'project':
        return project.name;
      case 'symptom':
        return random.pick(symptoms);
      case 'reason':
        return random.pick(reasons);
      default:
        return String(random.integer(2, 90));
    }
  });
}

/** 20 to 120 lines of log: the long prompts that a pane must cut. */
function log(random: Random, project: Project): string {
  const lines = [];
  const count = random.integer(20, 120);
  let ms = random.integer(0, 3_600_000);
  for (let index = 0; index < count; index += 1) {
    ms += random.integer(1, 4_000);
    const time = new Date(ms).toISOString().slice(11, 23);
    const level = random.weighted([
      { weight: 8, text: 'INFO ' },
      { weight: 2, text: 'WARN ' },
      { weight: 1, text: 'ERROR' },
    ]).text;
    lines.push(
      `${time} ${level} ${project.name} request=${random.token(8)} took=${random.integer(1, 900)}ms`,
    );
  }
  return lines.join('\n');
}
