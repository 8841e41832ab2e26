"""A router in Python: asks the database what worked before, and tells it how it went.

    pip install "psycopg[binary]"
    DATABASE_URL=postgresql://user@host/db python router.py "The login test is flaky"

Patterns that were learned with an embedding endpoint are found by the same endpoint and model:

    EMBEDDING_URL=http://127.0.0.1:11434/v1 EMBEDDING_MODEL=nomic-embed-text python router.py "…"

Without one, `trace-console suggest --json` compares the prompt by the built-in embedding.
"""

import json
import math
import os
import subprocess
import sys
import urllib.request
import uuid

import psycopg

DIMENSIONS = 1536


def embed(text: str) -> list[float]:
    """The prompt's vector of length 1, filled up with zeros to what the schema stores."""
    body = {"model": os.environ["EMBEDDING_MODEL"], "input": [text], "encoding_format": "float"}
    headers = {"content-type": "application/json"}
    if key := os.environ.get("TRACE_CONSOLE_EMBEDDING_KEY"):
        headers["authorization"] = f"Bearer {key}"
    request = urllib.request.Request(
        os.environ["EMBEDDING_URL"].rstrip("/") + "/embeddings", json.dumps(body).encode(), headers
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        vector = json.load(response)["data"][0]["embedding"]
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector] + [0.0] * (DIMENSIONS - len(vector))


def wilson(good: int, total: int) -> tuple[float, float]:
    """The interval in which the true success rate lies, with 95 % confidence."""
    if total == 0:
        return 0.0, 1.0
    z, rate = 1.96, good / total
    middle = (rate + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return middle - half, middle + half


def best_by_endpoint(connection: psycopg.Connection, prompt: str) -> dict | None:
    """The pattern with the highest lower bound of its success rate, of those near to the prompt."""
    rows = connection.execute(
        """
        SELECT p.id, f.similarity, p.agent_sequence, p.success_count, p.success_count + p.failure_count, p.avg_duration_ms
        FROM find_similar_patterns(%s::vector, %s, 20, embedding_model => %s) AS f JOIN success_patterns AS p ON p.id = f.id
        """,
        (str(embed(prompt)), float(os.environ.get("THRESHOLD", "0.6")), os.environ["EMBEDDING_MODEL"]),
    ).fetchall()
    ranked = sorted(rows, key=lambda row: wilson(row[3], row[4])[0], reverse=True)
    if not ranked or ranked[0][3] == 0:
        return None
    pattern, similarity, agents, _, _, expected_ms = ranked[0]
    return {"id": pattern, "similarity": similarity, "agents": agents, "expected_ms": expected_ms}


def best_by_command(prompt: str) -> dict | None:
    """As the built-in embedding has it. Exit code 1: nothing is known."""
    command = ["trace-console", "suggest", prompt, "--json", "--url", os.environ["DATABASE_URL"]]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    if not (recommended := found["recommendation"]):
        return None
    pattern = next((one for one in found["patterns"] if one["id"] == recommended["patternId"]), None)
    return {
        "id": recommended["patternId"],
        "similarity": pattern["similarity"] if pattern else None,
        "agents": recommended["agents"],
        "expected_ms": pattern["expectedDurationMs"] if pattern else None,
    }


def share(similarity: float | None) -> float:
    """A cosine similarity as the schema stores shares: 0 to 1, four decimals."""
    return round(min(1.0, max(0.0, similarity or 0.0)), 4)


def decide(connection: psycopg.Connection, prompt: str) -> tuple[uuid.UUID, dict | None]:
    """Begins a trace and writes which agent takes it, if anything is known."""
    correlation = uuid.uuid4()
    pattern = best_by_endpoint(connection, prompt) if "EMBEDDING_URL" in os.environ else best_by_command(prompt)
    connection.execute(
        """
        WITH trace AS (
          INSERT INTO execution_traces (correlation_id, root_id, session_id, source, prompt_text)
          VALUES (%(id)s, %(id)s, gen_random_uuid(), 'user_prompt', %(prompt)s) RETURNING id)
        INSERT INTO agent_routing_decisions (trace_id, query_text, agent_selected, confidence_score, routing_strategy,
          selection_reason, pattern_id)
        SELECT id, left(%(prompt)s, 2000), %(agent)s, %(confidence)s, %(strategy)s, %(reason)s, %(pattern)s FROM trace
        """,
        {
            "id": correlation,
            "prompt": prompt,
            "agent": pattern["agents"][0] if pattern else "generalist",
            "confidence": share(pattern["similarity"]) if pattern else 0.1,
            "strategy": "learned_pattern" if pattern else "fallback",
            "reason": "did best with such prompts" if pattern else "nothing known",
            "pattern": pattern["id"] if pattern else None,
        },
    )
    return correlation, pattern


def finish(connection: psycopg.Connection, correlation: uuid.UUID, pattern: dict | None, outcome: str, ms: int) -> None:
    """Ends the trace, and logs the use of the pattern."""
    status = "failed" if outcome == "failure" else "completed"
    connection.execute(
        "UPDATE execution_traces SET status = %s, duration_ms = %s WHERE correlation_id = %s", (status, ms, correlation)
    )
    if pattern:
        connection.execute(
            "SELECT record_pattern_usage(%s::uuid, %s, %s, %s::numeric, %s::bigint)",
            (pattern["id"], outcome, correlation, share(pattern["similarity"]), ms),
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database:
        trace, known = decide(database, sys.argv[1])
        print(json.dumps({"correlation_id": str(trace), "pattern": known}, default=str))
        finish(database, trace, known, "success", 1_000)
