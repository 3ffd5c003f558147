"""Runs kosoku's cases against a WebSocket server and prints the verdicts as JSON.

usage: verdicts.py URL CONCURRENCY CASE[,CASE...]    (a case may be a glob; '*' for all)
"""

import asyncio
import json
import os
import sys

from kosoku import FailureError, run_fuzzingclient


async def verdicts(url: str, concurrency: int, cases: list[str]) -> dict:
    try:
        results = await run_fuzzingclient(url, cases, concurrency=concurrency)
    except FailureError as failure:
        results = failure.results
    return {
        result.case_id: [
            result.behavior.value,
            result.behavior_close.value,
            result.remote_close_code,
            "clean" if result.was_clean else "not clean",
        ]
        for result in results
    }


# What is left of the runner's threads at a usual exit may end it with a signal.
print(json.dumps(asyncio.run(verdicts(sys.argv[1], int(sys.argv[2]), sys.argv[3].split(",")))), flush=True)
os._exit(0)
