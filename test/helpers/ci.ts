/** Whether this is an unattended run, as `.ci/run` and the usual services say it. */
export const inCi = Boolean(process.env.CI) && process.env.CI !== 'false';
