"""A tool for GradBench: its evals in plain NumPy, their derivatives by tensorgrad."""
