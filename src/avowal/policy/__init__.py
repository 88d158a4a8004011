"""The policy: its vocabulary, its terms, and the document that visitors read."""
