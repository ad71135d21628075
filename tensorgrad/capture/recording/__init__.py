"""Recording: one call of a step becomes a program, and what it read is watched."""
