"""Recorded executions, judged line by line."""
