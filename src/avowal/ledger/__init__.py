"""The proof: an append-only log whose every entry can be shown to be in it, and to have stayed as it was."""
