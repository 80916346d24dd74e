"""The servers that carry the stream, each taught to count what waits and to say goodbye."""
