"""How one page of notices leaves to one provider, and how its receipts are read."""
