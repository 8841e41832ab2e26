/** The server's clock at the start of the transaction, in milliseconds since 1970. */
export const serverNowStatement = `SELECT date_part('epoch', now()) * 1000 AS now_ms`;

export type ServerNowRow = { now_ms: number };
