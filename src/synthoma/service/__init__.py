"""Detection as a service for other programs: send a scan, ask for what was found (HTTP, JSON, OpenAPI).

The screens for people are the studio's; this has none. ``app`` answers, ``jobs`` keeps what is to be done and was done,
``worker`` looks at scans in processes of their own that keep the model loaded.
"""
