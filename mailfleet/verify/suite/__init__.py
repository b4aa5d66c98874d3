"""The checks that `mailfleet verify` runs: one module for each subject, each test once for every host."""
