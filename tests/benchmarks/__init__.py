"""The benchmarks that measure how good the checker is can be run, and count rightly."""
