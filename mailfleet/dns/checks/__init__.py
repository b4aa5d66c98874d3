"""What `mailfleet dns check` looks at: one module for each kind of record."""
