declare module 'pgpass' {
  type Connection = { host: string; port: number; user: string; database: string };
  export default function pgpass(
    connection: Connection,
    callback: (password: string | undefined) => void,
  ): void;
}
