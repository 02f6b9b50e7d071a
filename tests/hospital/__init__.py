"""Archives and scanners, with real ones where they are installed."""
