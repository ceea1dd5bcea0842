"""Reads pairs from stdin, a JSON line each, and prints what deepdiff says of each. Runs where deepdiff is installed.

Numbers are read as decimals, exactly: deepdiff's own way to compare numbers across types takes 12 digits, and true for 1.
"""

import decimal
import json
import sys

from deepdiff import DeepDiff

for line in sys.stdin:
    pair = json.loads(line)
    try:
        old, new = (json.loads(pair[side], parse_int=decimal.Decimal, parse_float=decimal.Decimal) for side in ("old", "new"))
        options = {"ignore_order": True, "report_repetition": True} if pair["order"] == "unordered" else {}
        verdict = "different" if DeepDiff(old, new, **options) else "equal"
    except Exception as error:
        verdict = f"failed: {error!r}"
    print(json.dumps(verdict))
