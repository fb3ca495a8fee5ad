"""Follow-the-meta-regularized-leader: gradient-based meta-learning."""
