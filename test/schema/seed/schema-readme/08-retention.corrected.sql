-- Move traces older than 90 days to the archive, with everything that belongs to them; again until done
SELECT * FROM archive_traces('90 days', 5000);

-- Clean up pattern usage logs (>180 days) and low-value patterns (low usage, low success rate)
SELECT * FROM prune_patterns();
