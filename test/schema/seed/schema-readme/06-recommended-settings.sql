-- For better vector search performance
SET max_parallel_workers_per_gather = 4;
SET maintenance_work_mem = '256MB';

-- For better query performance
SET shared_buffers = '256MB';
SET effective_cache_size = '1GB';
SET work_mem = '16MB';
