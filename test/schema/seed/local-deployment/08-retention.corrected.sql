-- Move traces older than 90 days to the archive, with everything that belongs to them; again until done
SELECT * FROM archive_traces('90 days', 5000);

-- Clean up old pattern usage and low-value patterns
SELECT * FROM prune_patterns();
