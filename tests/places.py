"""Where things stand in the checkout."""

from pathlib import Path

from oneleader.shipped import RECORDINGS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
RESULTS = DOCS / "results"
TLA = ROOT / "tla"

__all__ = ["DOCS", "RECORDINGS", "RESULTS", "ROOT", "TLA"]
