import type { Queryable } from '../db/database.js';

/** Supabase's roles: API requests without and with a signed-in user, and the trusted back end. */
export const supabaseRoles = ['anon', 'authenticated', 'service_role'] as const;

/**
 * Creates those of Supabase's roles that are missing, NOLOGIN. `service_role` bypasses row-level
 * security where the connected role may grant that (a superuser, or BYPASSRLS itself); its policies
 * allow it everything in any case.
 *
 * @throws ConsoleError `privilege_missing` without CREATEROLE.
 */
export async function createSupabaseRoles(transaction: Queryable): Promise<void> {
  await transaction.query(`
    DO $roles$
    DECLARE
      bypasses boolean := (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user);
    BEGIN
      IF to_regrole('anon') IS NULL THEN CREATE ROLE anon NOLOGIN; END IF;
      IF to_regrole('authenticated') IS NULL THEN CREATE ROLE authenticated NOLOGIN; END IF;
      IF to_regrole('service_role') IS NULL THEN
        IF bypasses THEN CREATE ROLE service_role NOLOGIN BYPASSRLS;
        ELSE CREATE ROLE service_role NOLOGIN;
        END IF;
      END IF;
    END
    $roles$`);
}
