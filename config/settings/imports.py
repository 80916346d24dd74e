"""Imports: what reads a row of a file, which lies above what walks the file."""

IMPORT_ROW_READER = "tasks_app.api.import_row.read_row"
