"""What an auditor reads in one sitting: pure functions, no Django, nothing of ours above it."""
