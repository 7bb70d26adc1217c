"""A story as SVG, as a page that steps, or as text."""
