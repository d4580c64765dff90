"""The strategies side by side on the operator's own server, with pgbench as the baseline."""
