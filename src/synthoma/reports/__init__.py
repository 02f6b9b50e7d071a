"""Self-contained HTML pages and the pictures on them. Needs no torch and loads nothing from elsewhere."""
