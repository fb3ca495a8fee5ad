"""Inner learners: what trains a linear model on the rows of one task."""
