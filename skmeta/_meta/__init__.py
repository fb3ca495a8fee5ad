"""What both families of meta-estimators share: tasks in, predictions by task."""
