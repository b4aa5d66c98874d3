"""DNS providers: each driver translates RRsets to what its server or API understands."""
