"""Keep the ledger; serve the API and the page."""
