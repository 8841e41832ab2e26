"""Write traces to the database that trace-console shows.

    pip install -r requirements.txt        (or Debian's packages: apt-get install python3-sqlalchemy python3-psycopg2)
    TRACEABILITY_DB_URL=postgresql://user:password@host:5432/database python write_traces.py

The statements stand as constants, so that they can be read, and tested, without the program.
"""

import importlib.util
import json
import os
import uuid
from contextlib import contextmanager

from sqlalchemy import __version__ as sqlalchemy_version, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

INSERT_TRACE = """
INSERT INTO execution_traces
  (correlation_id, root_id, parent_id, session_id, user_id, source, prompt_text, model, context)
VALUES
  (:correlation_id, :root_id, :parent_id, :session_id, :user_id, :source, :prompt_text, :model, CAST(:context AS jsonb))
RETURNING id
"""

# completed_at, duration_ms and success follow from the status.
FINISH_TRACE = """
UPDATE execution_traces
SET status = :status, error_type = :error_type, error_message = :error_message,
    input_tokens = :input_tokens, output_tokens = :output_tokens, cost_usd = :cost_usd
WHERE id = :trace_id
"""

INSERT_ROUTING_DECISION = """
INSERT INTO agent_routing_decisions
  (trace_id, query_text, agent_selected, confidence_score, routing_strategy, alternatives)
VALUES
  (:trace_id, :query_text, :agent_selected, :confidence_score, :routing_strategy, CAST(:alternatives AS jsonb))
"""

INSERT_HOOK = """
INSERT INTO hook_executions
  (trace_id, hook_type, hook_name, execution_order, tool_name, status, duration_ms, input_data)
VALUES
  (:trace_id, :hook_type, :hook_name, :execution_order, :tool_name, :status, :duration_ms, CAST(:input_data AS jsonb))
RETURNING id
"""

INSERT_ENDPOINT_CALL = """
INSERT INTO endpoint_calls
  (trace_id, hook_execution_id, service_name, endpoint_url, http_method, status_code, duration_ms, error_type)
VALUES
  (:trace_id, :hook_execution_id, :service_name, :endpoint_url, :http_method, :status_code, :duration_ms, :error_type)
"""


def driver():
    """psycopg 3 where it is installed, which SQLAlchemy knows from 2.0 on; else psycopg2."""
    has_psycopg = importlib.util.find_spec("psycopg") and not sqlalchemy_version.startswith("1.")
    return "postgresql+psycopg" if has_psycopg else "postgresql+psycopg2"


def open_engine(url):
    """5 to 20 connections, each checked before use, so that a restarted server costs no request."""
    return create_engine(
        make_url(url).set(drivername=driver()),
        poolclass=QueuePool,
        pool_size=5,
        max_overflow=15,
        pool_pre_ping=True,
    )


def clean(value):
    """PostgreSQL refuses the character NUL in text and jsonb; prompts and tool output may hold it."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


class TraceWriter:
    """Writes each event in a transaction of its own, so that the console sees it at once."""

    def __init__(self, engine):
        self.engine = engine

    def execute(self, statement, **values):
        values = {
            name: json.dumps(clean(value)) if isinstance(value, (dict, list)) else clean(value)
            for name, value in values.items()
        }
        with self.engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return result.scalar_one() if result.returns_rows else None

    @contextmanager
    def trace(self, *, session_id, source, prompt_text, parent=None, user_id=None, model=None, context=None):
        """One trace around a piece of work; an exception ends it as failed, and goes on."""
        correlation_id = uuid.uuid4()
        trace = {
            "correlation_id": correlation_id,
            "root_id": parent["root_id"] if parent else correlation_id,
            "usage": {"input_tokens": None, "output_tokens": None, "cost_usd": None},
        }
        trace["id"] = self.execute(
            INSERT_TRACE,
            correlation_id=correlation_id,
            root_id=trace["root_id"],
            parent_id=parent["correlation_id"] if parent else None,
            session_id=session_id,
            user_id=user_id,
            source=source,
            prompt_text=prompt_text,
            model=model,
            context=context or {},
        )
        try:
            yield trace
        except BaseException as error:
            self.finish(trace, "failed", error)
            raise
        self.finish(trace, "completed")

    def finish(self, trace, status, error=None):
        self.execute(
            FINISH_TRACE,
            trace_id=trace["id"],
            status=status,
            error_type=type(error).__name__ if error else None,
            error_message=str(error) if error else None,
            **trace["usage"],
        )


def main():
    writer = TraceWriter(open_engine(os.environ["TRACEABILITY_DB_URL"]))
    session_id = uuid.uuid4()
    prompt = "Why is the checkout slow?"
    with writer.trace(
        session_id=session_id, source="user_prompt", prompt_text=prompt, user_id="ada", model="example-model"
    ) as trace:
        writer.execute(
            INSERT_ROUTING_DECISION,
            trace_id=trace["id"],
            query_text=prompt,
            agent_selected="performance-analyst",
            confidence_score=0.91,
            routing_strategy="fuzzy_match",
            alternatives=[{"agent": "debugger", "confidence": 0.62}],
        )
        hook_id = writer.execute(
            INSERT_HOOK,
            trace_id=trace["id"],
            hook_type="PreToolUse",
            hook_name="context-injector",
            execution_order=1,
            tool_name="Read",
            status="completed",
            duration_ms=120,
            input_data={"file_path": "src/checkout.py"},
        )
        writer.execute(
            INSERT_ENDPOINT_CALL,
            trace_id=trace["id"],
            hook_execution_id=hook_id,
            service_name="search",
            endpoint_url="http://search:8055/query",
            http_method="POST",
            status_code=200,
            duration_ms=85,
            error_type=None,
        )
        with writer.trace(
            session_id=session_id, source="agent_delegation", prompt_text="Find the slow queries", parent=trace
        ) as delegated:
            delegated["usage"].update(input_tokens=1800, output_tokens=420)
        trace["usage"].update(input_tokens=5200, output_tokens=910, cost_usd=0.0421)
    print(trace["correlation_id"])


if __name__ == "__main__":
    main()
