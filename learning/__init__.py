"""Readers and controllers, trained on what `duchenne.sim` shows."""
