"""Mixed-effects models: a task is its statistics, and REML learns the tasks' prior.

Coefficients of a task are in the order (features, intercept); p is their number. Three
coordinate systems occur. *Raw*: as users see them. *From the origin*: features and
target counted from the first row seen, in which statistics are stored. *In units*: also
centred and divided by their spread, in which everything is estimated.
"""
