"""Values that visitors submit: forms, uploads and their encryption."""
