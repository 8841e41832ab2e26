import os
from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool

DATABASE_URL = os.getenv("TRACEABILITY_DB_URL")

# 5 connections that stay, 20 at most
engine = create_engine(
    DATABASE_URL,
    poolclass=QueuePool,
    pool_size=5,
    max_overflow=15,
    pool_pre_ping=True
)
