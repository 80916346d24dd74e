"""Files in and out: tasks as CSV and NDJSON, written page by page and read step by step."""
