"""Runnable stories: the command line, the mirror, the benchmarks."""
