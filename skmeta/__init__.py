"""Meta-learning of linear models with provable guarantees, for scikit-learn."""
