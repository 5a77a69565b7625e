"""What two programs need, and the contract between them."""
