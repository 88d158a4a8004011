"""The register: versions, consents, readers, releases, submissions and the ledger's storage."""
