"""What judges and documents the project and is not shipped: mutation, studies, page makers, benchmarks."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
RESULTS = DOCS / "results"  # pages that commands write
