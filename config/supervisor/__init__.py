"""One process tree with one log: starts processes, starts them again, ends them in order."""
