"""MongoDB and Redis, nowhere else: document shapes are known only on this floor."""
