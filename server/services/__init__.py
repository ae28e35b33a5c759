"""What the product can do: the verbs of the counter (draft, release, cancel, book, apply)."""
