"""What we promise: the vocabulary, the terms, and the document that visitors read."""
