"""Turn a commit into bundles of manifests."""
